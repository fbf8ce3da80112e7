package relay

// Mutations are switches by which tests break the log's code, by name.
func Mutations() map[string]*bool {
	return map[string]*bool{
		"ignore predecessor":      &ignorePredecessor,
		"no digest":               &noDigest,
		"stale read taken as end": &staleIsEnd,
		"holes are believed":      &believeHoles,
		"any log will do":         &anyLog,
	}
}
