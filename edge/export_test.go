package edge

// ResetBucket does what the reader does when a bucket's log began anew.
func (s *Server) ResetBucket(bucket int) { s.loop.onReset(bucket) }
