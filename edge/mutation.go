package edge

// Ways in which tests break resume, to see that the simulation finds out. Nothing else sets these.
var (
	socketsFirst bool // sockets get a batch before its record has left the process
	rightsOfNow  bool // a replay goes by today's rights
	baseOff      bool // the record of a move says a base that is off by one
	framesFirst  bool // a moved session is told before the move is noted
	oneIndex     bool // all frames of an event have one index
)
