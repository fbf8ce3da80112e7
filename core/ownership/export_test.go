package ownership

// Missing runs f while the core hears of no record; what f gives to now, a bucket and the revision of its record, which names this core, is all
// that it hears of what happened meanwhile.
func (c *Claims) Missing(f func(now func(bucket int, revision uint64))) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(func(n int, revision uint64) { c.table[n].by, c.table[n].revision = c.me, revision })
}
