package bucket

import (
	"testing"

	"github.com/starling-chat/starling/core"
)

// BenchmarkSend sends to one channel from 64 places at once: command, log, history, answer.
func BenchmarkSend(b *testing.B) {
	w := newWorld(b)
	o := w.own("core")
	alice := w.person("alice")
	h := w.home(alice)
	at := o.buckets[h.guild.Bucket()].at.Load
	before := at().Counter
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			r, err := w.ask(h.cmd(core.KindMessageCreate, alice, 0), core.MessageCreate{Content: "the quick brown fox jumps over the lazy dog"})
			if err != nil || r.Status != 200 {
				b.Errorf("got %v, %v", r, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/float64(at().Counter-before), "msg/entry")
}
