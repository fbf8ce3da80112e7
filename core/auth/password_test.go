package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

func TestPassword(t *testing.T) {
	h := NewHasher(HasherConfig{AtOnce: 1, Queue: 1})
	phc, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("got %s, want PHC form", phc)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsE": false, "": false} {
		if got, err := h.Verify(t.Context(), phc, password); err != nil || got != want {
			t.Errorf("Verify(%q) = %v, %v, want %v", password, got, err, want)
		}
	}
	if got, err := h.Verify(t.Context(), "", "anything"); got || err != nil {
		t.Errorf("an account that does not exist: %v, %v, want false", got, err)
	}
	again, err := h.Hash(t.Context(), "correct horse")
	if err != nil || again == phc {
		t.Errorf("two hashes share a salt")
	}
}

func TestParseArgonRefuses(t *testing.T) {
	for _, phc := range []string{"", "x", "$argon2id$v=19$m=19456,t=2,p=1$", "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=4294967295,t=2,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=999,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=2,p=1x$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA"} {
		if a, err := parseArgon(phc); err == nil {
			t.Errorf("%q: got %+v, want refusal", phc, a)
		}
	}
	if _, err := parseArgon("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA"); err != nil {
		t.Errorf("the base case: %v", err)
	}
}

// Alice's hash runs, Bob's waits, Cathy's is one past the queue.
func TestHasherQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(HasherConfig{AtOnce: 1, Queue: 1})
		if err := h.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		bob := make(chan error, 1)
		go func() { bob <- h.enter(t.Context()) }()
		synctest.Wait()
		if err := h.enter(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("Cathy got %v, want ErrBusy", err)
		}
		h.leave()
		if err := <-bob; err != nil {
			t.Errorf("Bob got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.enter(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up got %v, want Canceled", err)
		}
		h.leave()
		if h.waiting.Load() != 0 {
			t.Errorf("%d still wait", h.waiting.Load())
		}
	})
}
