package backoff

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitGrowsToItsCap(t *testing.T) {
	p := Policy{First: time.Second, Most: 5 * time.Second}
	for n, want := range []time.Duration{1, 2, 4, 5, 5} {
		if got := p.Wait(n); got != want*time.Second {
			t.Errorf("wait %d: %v, want %v", n, got, want*time.Second)
		}
	}
	if got := p.Wait(1 << 30); got != p.Most {
		t.Errorf("after very many waits: %v, want the cap %v", got, p.Most)
	}
	p.Factor = 1.5
	if got, want := p.Wait(2), 2250*time.Millisecond; got != want {
		t.Errorf("with factor 1.5: %v, want %v", got, want)
	}
}

func TestJitterStaysInItsBounds(t *testing.T) {
	for _, jitter := range []float64{0.1, 1} {
		p := Policy{First: time.Second, Most: time.Second, Jitter: jitter}
		shortest, longest := time.Hour, time.Duration(0)
		for range 10_000 {
			d := p.Wait(0)
			shortest, longest = min(shortest, d), max(longest, d)
		}
		spread := time.Duration(jitter * float64(time.Second))
		if shortest < time.Second-spread || longest > time.Second+spread {
			t.Errorf("jitter %v: waits from %v to %v", jitter, shortest, longest)
		}
		if longest-shortest < spread { // half of what there is
			t.Errorf("jitter %v: waits from %v to %v only", jitter, shortest, longest)
		}
	}
}

var errAway = errors.New("away")

func TestRetryEnds(t *testing.T) {
	tests := []struct {
		name   string
		policy Policy
		fails  int                  // tries that fail before one succeeds
		again  func(tries int) bool // nil: always
		cancel time.Duration        // 0: not at all
		tries  int                  // wanted
		err    error                // wanted
		took   time.Duration        // wanted
	}{
		{"with a success", Policy{First: 1 * time.Second, Most: time.Minute}, 2, nil, 0, 3, nil, 3 * time.Second},
		{"at its deadline", Policy{First: 1 * time.Second, Most: time.Minute, For: 5 * time.Second}, 99, nil, 0, 4, errAway, 7 * time.Second},
		{"with an error that is final", Policy{First: 1 * time.Second, Most: time.Minute}, 99, func(tries int) bool { return tries < 2 }, 0, 2, errAway, time.Second},
		{"with its context", Policy{First: 1 * time.Second, Most: time.Minute}, 99, nil, 2500 * time.Millisecond, 2, errInterrupted, 2500 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, func() { cancel(errInterrupted) })
				}
				began, tries := time.Now(), 0
				err := test.policy.Retry(ctx, func() error {
					if tries++; tries <= test.fails {
						return errAway
					}
					return nil
				}, func(err error, _ time.Duration) bool {
					if err != errAway {
						t.Errorf("again was given %v", err)
					}
					return test.again == nil || test.again(tries)
				})
				if err != test.err || tries != test.tries || time.Since(began) != test.took {
					t.Errorf("%d tries, %v, error %v; want %d, %v, %v", tries, time.Since(began), err, test.tries, test.took, test.err)
				}
			})
		})
	}
}

var errInterrupted = errors.New("interrupted")

func TestSleepAtLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, waits := time.Now(), Policy{First: time.Second, Most: time.Minute}.Start()
		for _, least := range []time.Duration{0, time.Minute, 0} { // 1 s, a minute, 4 s
			if err := waits.Sleep(t.Context(), least); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(began); got != 65*time.Second {
			t.Errorf("slept %v, want 1m5s", got)
		}
	})
}
