package bucket

import (
	"encoding/json"
	"errors"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// maxCommandID bounds command ids; they are 16 bytes long.
const maxCommandID = 16

// A call is one command on its way to its answer. Whoever holds it answers it once, or drops it.
type call struct {
	raw   []byte
	reply func([]byte)
	cmd   *pb.Command // decoded by the bucket's goroutine
}

// decode reads the command; false if it is none, or expired: nobody waits for an answer any more.
func (c *call) decode(bucket int, now time.Time) bool {
	if c.cmd == nil {
		cmd := &pb.Command{}
		if err := protobuf.Unmarshal(c.raw, cmd); err != nil || len(cmd.Id) == 0 || len(cmd.Id) > maxCommandID {
			refusedTotal.WithLabelValues("malformed").Inc()
			c.fail(proto.ErrInternal)
			return false
		}
		if int(cmd.Bucket) != bucket {
			refusedTotal.WithLabelValues("misrouted").Inc()
			c.fail(proto.ErrInternal)
			return false
		}
		c.cmd, c.raw = cmd, nil
	}
	if c.cmd.DeadlineMs != 0 && c.cmd.DeadlineMs < now.UnixMilli() {
		refusedTotal.WithLabelValues("expired").Inc()
		return false
	}
	return true
}

// answer sends the result.
func (c *call) answer(r *pb.Result) {
	if c.cmd != nil {
		countCommand(c.cmd.Kind, r.Status)
	}
	b, err := protobuf.Marshal(r)
	if err != nil { // a result is bytes and numbers
		panic(err)
	}
	c.reply(b)
}

// fail answers with an error of the API.
func (c *call) fail(e *proto.Error) { c.answer(errorResult(e)) }

// moved answers that another owner has the bucket.
func (c *call) moved() { c.answer(&pb.Result{Status: core.StatusMoved}) }

// refuse answers that another try, with the same command id, may succeed.
func (c *call) refuse() { c.fail(proto.ErrUnavailable) }

func errorResult(e *proto.Error) *pb.Result {
	body, err := json.Marshal(e)
	if err != nil {
		body = []byte(`{"code":0,"message":"500: Internal Server Error"}`)
	}
	return &pb.Result{Status: int32(e.Status), Body: body}
}

// asError turns what went wrong in a handler into what the client is told. What is not an error of the API is the failure of a store or
// the clock: the client may try again.
func asError(err error) *proto.Error {
	var e *proto.Error
	if errors.As(err, &e) {
		return e
	}
	return proto.ErrUnavailable
}
