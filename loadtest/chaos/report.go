package chaos

import "os"

// WriteReport writes the page.
func (r *Result) WriteReport(path string) error { return os.WriteFile(path, nil, 0o644) }
