package filerun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// errNotAllRead is the state of a run whose live input has not ended. What has cut it short says more.
var errNotAllRead = errors.New("the input was not read to its end")

// liveRows hands on the rows of a live input as they come.
func (d *dueRows) liveRows(ctx context.Context) error {
	for row, err := range d.Input.LiveRows(ctx, d.idle) {
		if err != nil {
			return err
		}
		d.journal.Grow(row.N)
		d.setTotal(row.N)
		more := true
		if row.Wrong != "" {
			err = d.take(row)
		} else {
			more, err = d.consider(ctx, row)
		}
		if !more || err != nil {
			return err
		}
	}
	return d.serveTwins(ctx, 0)
}

// notInOrder is the record of a row of a live input that cannot be asked.
func notInOrder(id string, row *input.Row) *results.Result {
	return &results.Result{
		ID: id, Status: results.Failed, CompletedAt: results.At(time.Now()),
		Error: &results.Failure{Class: "invalid", Message: fmt.Sprintf("line %d: %s", row.Line, row.Wrong), Hint: "Correct the line and send it again."},
	}
}
