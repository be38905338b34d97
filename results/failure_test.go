package results_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cozeq/cozeq/results"
)

var classes = []error{
	results.ErrInvalid, results.ErrPermanent, results.ErrAuth, results.ErrQuota, results.ErrEndpoint, results.ErrRate,
	results.ErrBusy, results.ErrTransient, results.ErrTruncated, results.ErrAction, results.ErrTimeout,
	results.ErrCanceled, results.ErrExpired,
}

func TestNoFailure(t *testing.T) {
	for _, text := range []string{"", "asynq: task lease expired", "4013", "x (rate): a", "4013 (rate: a", "rates: a", "panic: invalid"} {
		if f := results.ParseFailure(text); f != nil {
			t.Errorf("%q: %+v", text, f)
		}
	}
}

func TestFailure(t *testing.T) {
	for _, c := range []struct {
		failure results.Failure
		want    string
	}{
		{results.Failure{Class: "rate", Code: 4013, Message: "too many requests", LogID: "2025"}, "4013 (rate): too many requests"},
		{results.Failure{Class: "canceled", Message: "canceled before it was asked"}, "canceled: canceled before it was asked"},
		{results.Failure{Class: "timeout"}, "timeout"},
	} {
		if got := fmt.Sprint(&c.failure); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		back := results.Failure{Code: c.failure.Code, Class: c.failure.Class, Message: c.failure.Message}
		if got := results.ParseFailure(c.want); got == nil || *got != back {
			t.Errorf("read back: %+v", got)
		}
		err := fmt.Errorf("ask: %w", &c.failure)
		if f, ok := errors.AsType[*results.Failure](err); !ok || f.Code != c.failure.Code {
			t.Errorf("errors.As: %v, %v", f, ok)
		}
		for _, class := range classes {
			if got, want := errors.Is(err, class), class.Error() == c.failure.Class; got != want {
				t.Errorf("%v is %v: %v", err, class, got)
			}
		}
	}
}

func TestResultErr(t *testing.T) {
	failure := &results.Failure{Class: "quota"}
	sealed := &results.SealedError{KeyID: "k1"}
	for _, c := range []struct {
		result results.Result
		want   error
	}{
		{results.Result{Status: results.Completed}, nil},
		{results.Result{Status: results.Waiting, Error: failure}, nil}, // why it waits
		{results.Result{Status: results.Failed, Error: failure}, results.ErrQuota},
		{results.Result{Status: results.Expired}, results.ErrExpired},
		{results.Result{Status: results.Completed, Sealed: sealed}, sealed},
	} {
		if err := c.result.Err(); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.result, err, c.want)
		}
	}
}
