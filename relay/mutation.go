package relay

// Ways in which tests break the log's code, to see that the simulation finds out. Nothing else sets these.
var (
	ignorePredecessor bool // a reader applies a live entry whatever came before it
	noDigest          bool // a reader hears digests and learns nothing from them
	staleIsEnd        bool // a read that shows nothing more is taken for the end of the log
	believeHoles      bool // an answer of many messages is taken for whole, whatever it lacks
	anyLog            bool // an owner does not ask whether the log was made anew
)
