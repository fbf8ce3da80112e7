package chaos

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A card is a kind of fault and whom it hits: one of a role by chance, or a store.
type card struct{ kind, role string }

// cards are dealt from a shuffled deck, so that each kind comes before one comes again. Clients feel edges most, and these die most often.
func (s Shape) cards() []card {
	deck := []card{{Kill, "edge"}, {Kill, "edge"}, {Kill, "edge"}, {Kill, "leaf"}, {Kill, "hub"}, {Kill, "core"}, {Stop, "edge"}, {Stop, "leaf"},
		{Stop, "hub"}, {Stop, "core"}, {Cut, "leaf"}, {Slow, "leaf"}, {HalfOpen, "leaf"}, {Drain, "edge"}, {Sockets, ""}}
	for _, store := range s.Stores {
		deck = append(deck, card{Kill, store})
		if store == "cassandra" {
			deck = append(deck, card{Stop, store})
		}
	}
	return deck
}

// Make makes the plan of a seed: a fault each time that every has passed, and beside most of them members who lose rights about then. The
// last interval is left to heal.
func Make(seed uint64, s Shape, length, every time.Duration, clients int) Plan {
	rnd := rand.New(rand.NewPCG(seed, 7))
	var p Plan
	var deck []card
	count := map[string]int{"edge": s.Edges, "leaf": s.Leaves, "hub": s.Hubs, "core": s.Cores}
	for at := every; at+every <= length; at += every {
		if len(deck) == 0 {
			deck = s.cards()
			rnd.Shuffle(len(deck), func(i, k int) { deck[i], deck[k] = deck[k], deck[i] })
			if i := slices.Index(deck, card{Kill, "edge"}); len(p) == 0 { // what a short run shows, too
				deck[0], deck[i] = deck[i], deck[0]
			}
		}
		f := Fault{At: at, Kind: deck[0].kind, Target: deck[0].role}
		if n := count[f.Target]; n > 0 {
			names := slices.DeleteFunc(s.Targets(f.Kind), func(name string) bool { return name[:len(f.Target)] != f.Target })
			f.Target = names[rnd.IntN(n)]
		}
		deck = deck[1:]
		if f.Kind == Sockets {
			f.Count = 10 + 10*rnd.IntN(5)
		} else if slices.Contains(lasting, f.Kind) {
			f.For = between(rnd, every/4, every*3/5)
		}
		if rnd.IntN(3) > 0 {
			p = append(p, Fault{At: at + between(rnd, -every/10, every/10), Kind: Rights, Target: ways[rnd.IntN(len(ways))],
				Count: max(3, clients/25), For: between(rnd, every/10, every/2)})
		}
		p = append(p, f)
	}
	slices.SortStableFunc(p, func(a, b Fault) int { return int(a.At - b.At) })
	return p
}

func between(rnd *rand.Rand, low, high time.Duration) time.Duration {
	return (low + time.Duration(rnd.Int64N(int64(high-low)+1))).Round(10 * time.Millisecond)
}
