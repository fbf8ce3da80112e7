package faults

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/starling-chat/starling/proto"
)

// modelPatience bounds the search for an order; each message has a short history of its own.
const modelPatience = 20 * time.Second

// What is asked of a message.
type deed string

const (
	send   deed = "send"
	edit   deed = "edit"
	touch  deed = "touch" // an edit that changes no content and is answered with it
	remove deed = "remove"
	read   deed = "read" // at the end, of the history
)

// An act is one call: what was asked, and what was answered.
type act struct {
	deed    deed
	bucket  int
	id      proto.ID // of the message; of a send as it was answered
	content string   // that was asked for
	client  int

	call, answer time.Time
	unknown      bool   // nobody can say whether it was done
	absent       bool   // there is no such message
	got          string // the content that was answered
}

func (a act) String() string {
	end := fmt.Sprintf("%q", a.got)
	switch {
	case a.unknown:
		end = "unknown"
	case a.absent:
		end = "absent"
	}
	return fmt.Sprintf("%s %s %q -> %s [%s, +%v]", a.deed, a.id, a.content, end, a.call.Format("05.000"), a.answer.Sub(a.call).Round(time.Millisecond))
}

// A message as the model knows it: sent once, then edited, then removed.
type modelled struct {
	there   bool
	content string
}

// ofMessage says what one message may do. What is unknown may have been done at any time after it was asked, or never, which is as good as after
// all that anybody saw.
var ofMessage = porcupine.Model{
	Partition: byMessage,
	Init:      func() any { return modelled{} },
	Step: func(state, input, output any) (bool, any) {
		m, a := state.(modelled), output.(act)
		switch {
		case a.deed == send:
			return !m.there, modelled{true, a.content}
		case a.unknown && m.there && a.deed == edit:
			return true, modelled{true, a.content}
		case a.unknown && m.there && a.deed == remove:
			return true, modelled{}
		case a.unknown || a.absent:
			return a.unknown || !m.there, m
		case a.deed == edit:
			return m.there && a.got == a.content, modelled{m.there, a.content}
		case a.deed == remove:
			return m.there, modelled{}
		}
		return m.there && a.got == m.content, m
	},
	DescribeOperation: func(_, output any) string { return output.(act).String() },
}

// ofBucket says in which order a bucket gives out ids: that of its log.
var ofBucket = porcupine.Model{
	Partition: byBucket,
	Init:      func() any { return proto.ID(0) },
	Step: func(state, input, output any) (bool, any) {
		a := output.(act)
		return a.id > state.(proto.ID), a.id
	},
}

func byMessage(all []porcupine.Operation) [][]porcupine.Operation {
	return parted(all, func(a act) proto.ID { return a.id })
}

func byBucket(all []porcupine.Operation) [][]porcupine.Operation {
	return parted(all, func(a act) int { return a.bucket })
}

func parted[K comparable](all []porcupine.Operation, by func(act) K) [][]porcupine.Operation {
	at := map[K]int{}
	var parts [][]porcupine.Operation
	for _, op := range all {
		k := by(op.Output.(act))
		i, ok := at[k]
		if !ok {
			i = len(parts)
			at[k] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], op)
	}
	return parts
}

// linearizable tells whether each message, and the ids of each bucket, have one order that everybody's answers agree with.
func linearizable(acts []act) error {
	var all, sends []porcupine.Operation
	for _, a := range acts {
		if a.deed == send && a.unknown {
			continue // nobody knows its id
		}
		op := porcupine.Operation{ClientId: a.client, Input: a.deed, Output: a, Call: a.call.UnixNano(), Return: a.answer.UnixNano()}
		if a.unknown {
			op.Return = math.MaxInt64
		}
		all = append(all, op)
		if a.deed == send {
			sends = append(sends, op)
		}
	}
	var errs []error
	for _, part := range byMessage(all) {
		if r := porcupine.CheckOperationsTimeout(ofMessage, part, modelPatience); r != porcupine.Ok {
			errs = append(errs, fmt.Errorf("message %s: %s:%s", part[0].Output.(act).id, verdict(r), story(part)))
		}
	}
	for _, part := range byBucket(sends) {
		if r := porcupine.CheckOperationsTimeout(ofBucket, part, modelPatience); r != porcupine.Ok {
			errs = append(errs, fmt.Errorf("ids of bucket %d: %s", part[0].Output.(act).bucket, verdict(r)))
		}
	}
	return errors.Join(errs...)
}

func verdict(r porcupine.CheckResult) string {
	if r == porcupine.Unknown {
		return "no order found in time"
	}
	return "no order of it agrees with the answers"
}

// story lists what was done, for people.
func story(ops []porcupine.Operation) (text string) {
	ops = slices.SortedFunc(slices.Values(ops), func(x, y porcupine.Operation) int { return cmp.Compare(x.Call, y.Call) })
	for _, op := range ops {
		text += "\n  " + op.Output.(act).String()
	}
	return text
}
