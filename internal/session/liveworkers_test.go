package session

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/internal/exitcode"
)

func TestWatchServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, down := &exitcode.NoWorkerError{Queue: "default"}, errors.New("redis is down")
		looks := []error{nil, gone, gone, down, gone, nil, gone}
		n, said := 0, []int(nil)
		stop := WatchServed(t.Context(), func() error {
			n++
			return looks[n-1]
		}, func(error) { said = append(said, n) })
		time.Sleep(time.Duration(len(looks))*servedEvery + time.Second) // the bubble's time
		stop()
		if n != len(looks) {
			t.Errorf("%d looks, want %d", n, len(looks))
		}
		if len(said) != 2 || said[0] != 2 || said[1] != 7 {
			t.Errorf("said at looks %v, want at 2 and 7: once each time that the workers went", said)
		}
	})
}
