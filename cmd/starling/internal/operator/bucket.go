package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/core/console"
	"github.com/starling-chat/starling/proto"
)

// BucketsQuery says which buckets are wanted.
type BucketsQuery struct {
	Only []int // none = those in use
	All  bool  // those never used too
	Busy bool  // the busiest first, else in order of numbers
}

// A Bucket is one of a core's.
type Bucket struct {
	Owner string `json:"owner"`
	bucket.Info
}

// Buckets is what all cores own.
type Buckets struct {
	Cores   int      `json:"cores"`
	Buckets []Bucket `json:"buckets"`
	Idle    int      `json:"idle"`
	Trouble []string `json:"trouble"` // why checkpoints are missing
}

// BucketOf reads the number of a bucket, or an id, which holds the number of its own.
func BucketOf(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < proto.Buckets {
		return n, nil
	}
	id, err := proto.ParseID(s)
	if err != nil || id < 1<<22 {
		return 0, fmt.Errorf("%q: want a bucket, 0 to %d, or any id: it names its bucket", s, proto.Buckets-1)
	}
	return id.Bucket(), nil
}

// Buckets lists buckets.
func (d *Desk) Buckets(ctx context.Context, q BucketsQuery) error {
	all, t, err := d.buckets(ctx, q)
	if all == nil {
		return err
	}
	return errors.Join(d.show(all, t), err)
}

func (d *Desk) buckets(ctx context.Context, q BucketsQuery) (*Buckets, *table, error) {
	cores, err := d.need("core")
	if err != nil {
		return nil, nil, err
	}
	path := "buckets"
	if q.All || len(q.Only) > 0 {
		path = query("buckets", "all", "true")
	}
	pages, silent := askAll[console.Buckets](ctx, d, cores, path)
	if len(pages) == 0 {
		return nil, nil, silent
	}
	all := &Buckets{Cores: len(pages), Buckets: []Bucket{}, Trouble: []string{}}
	for _, page := range pages {
		all.Idle += page.Idle
		if page.Trouble != "" {
			all.Trouble = append(all.Trouble, page.Owner+": "+page.Trouble)
		}
		for _, i := range page.Buckets {
			if len(q.Only) == 0 || slices.Contains(q.Only, i.Bucket) {
				all.Buckets = append(all.Buckets, Bucket{page.Owner, i})
			}
		}
	}
	slices.SortStableFunc(all.Buckets, func(a, b Bucket) int {
		if q.Busy && a.Rate != b.Rate {
			return cmp.Compare(b.Rate, a.Rate)
		}
		return cmp.Compare(a.Bucket, b.Bucket)
	})
	return all, bucketTable(all), silent
}

func bucketTable(all *Buckets) *table {
	t := &table{head: "BUCKET\tOWNER\tSTATE\tEPOCH\tSEQUENCE\tCOUNTER\tDIRECTORY\tBEHIND\tHISTORY\tBEHIND\tCMD/S\tWAITING"}
	states, rate := map[string]int{}, 0.0
	for _, b := range all.Buckets {
		states[b.Phase]++
		rate += b.Rate
		t.add(b.Bucket, b.Owner, b.Phase, b.Epoch, b.Sequence, b.Counter, b.Directory.Counter, b.Directory.Backlog, b.History.Counter, b.History.Backlog,
			fmt.Sprintf("%.1f", b.Rate), b.Waiting)
	}
	var parts []string
	for _, phase := range []string{"owned", "taking", "lost"} {
		if states[phase] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", states[phase], phase))
		}
	}
	t.foot = fmt.Sprintf("%s, %d never used; %.1f commands/s\nDIRECTORY, HISTORY: counters of their checkpoints",
		strings.Join(append(parts, plural(all.Cores, "core", "cores")), ", "), all.Idle, rate)
	for _, trouble := range all.Trouble {
		t.foot += "\ncheckpoints are missing: " + clean(trouble)
	}
	return t
}
