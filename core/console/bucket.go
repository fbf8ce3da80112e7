package console

import (
	"context"
	"net/http"

	"github.com/starling-chat/starling/core/bucket"
)

// Buckets answers GET buckets: those in use, with ?all=true every one.
type Buckets struct {
	Owner   string        `json:"owner"`
	Buckets []bucket.Info `json:"buckets"`
	Idle    int           `json:"idle"`    // that were never used
	Trouble string        `json:"trouble"` // why checkpoints are missing; "" if none are
}

func (c *Console) buckets(ctx context.Context, r *http.Request) (any, error) {
	infos, err := c.cfg.Owner.Infos(ctx)
	answer := Buckets{Owner: c.cfg.Owner.Name(), Buckets: make([]bucket.Info, 0, len(infos))}
	if err != nil {
		answer.Trouble = err.Error()
	}
	all := r.FormValue("all") == "true"
	for _, i := range infos {
		if i.Phase == "foreign" { // its owner tells
			continue
		}
		if i.Phase == "idle" {
			answer.Idle++
			if !all {
				continue
			}
		}
		answer.Buckets = append(answer.Buckets, i)
	}
	return answer, nil
}
