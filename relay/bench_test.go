package relay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// One append after the other to one bucket: what a quiet mesh's message waits for.
func BenchmarkAppend(b *testing.B) {
	mesh := relaytest.Start(b, 0)
	w := takeOver(b, openLog(b, mesh.CoreBus(b)), 1)
	event := says(string(make([]byte, 400)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := w.Append(b.Context(), event, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// From append to a callback behind a leaf, one at a time.
func BenchmarkAppendToLeaf(b *testing.B) {
	mesh := relaytest.Start(b, 1)
	w := takeOver(b, openLog(b, mesh.CoreBus(b)), 1)
	arrived := make(chan uint64, 64)
	reader := relay.NewReader(mesh.EdgeBus(b, 0), relay.ReaderConfig{OnEntry: func(_ int, seq uint64, _ *pb.Entry) { arrived <- seq }})
	done := make(chan error, 1)
	go func() { done <- reader.Run(b.Context()) }()
	b.Cleanup(func() { <-done })
	if err := reader.Follow(b.Context(), 1); err != nil {
		b.Fatal(err)
	}
	event := says(string(make([]byte, 400)))
	for b.Loop() {
		_, seq, err := w.Append(b.Context(), event, 0)
		if err != nil {
			b.Fatal(err)
		}
		for got := range arrived {
			if got == seq {
				break
			}
		}
	}
}

func BenchmarkHubStart(b *testing.B) {
	mesh := relaytest.Start(b, 0)
	log := openLog(b, mesh.CoreBus(b))
	for bucket := range 50 {
		w := takeOver(b, log, bucket)
		for i := range 200 {
			mustAppend(b, w, fmt.Sprint(i))
		}
	}
	for b.Loop() {
		mesh.StopHub()
		start := time.Now()
		mesh.StartHub(b)
		bus := mesh.CoreBus(b)
		openLog(b, bus)
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-to-log")
		bus.Close()
	}
}

// One record as an edge writes it for each batch: numbered, sent to the leaf, and known to have arrived there.
func BenchmarkJournalWrite(b *testing.B) {
	m := relaytest.Start(b, 1)
	openJournals(b, m.CoreBus(b))
	j := openJournal(b, m.EdgeBus(b, 0), "edge-0")
	write(b, j, follows())
	b.ReportAllocs()
	index := int64(0)
	for b.Loop() {
		index++
		if err := j.Write(b.Context(), event(index)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := j.WaitAcked(soon(b), index); err != nil {
		b.Fatal(err)
	}
}
