package bucket

import "sync/atomic"

// storesFirst hands the stores what the log has not taken yet. Tests set it, to see that they find out; nothing else does.
var storesFirst atomic.Bool
