package cozetest

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// streamRun plays a run to its client. The emitter is that of chats, with a chat that has only the run's times.
func (x *exchange) streamRun(r *run) {
	ft := *r.fault
	if ft.Kind == Fail || ft.Kind == FailFlat {
		ft.Kind, ft.After = Error, max(ft.After, 1)
		ft.Code = r.fault.code()
	}
	clock := &chat{
		id: r.id, fault: &ft, start: r.start, pace: ft.pace(x.fake.cfg.DeltaPace), status: statusCompleted, takes: r.takes,
		latency: cmp.Or(ft.Latency, x.fake.cfg.Latency),
	}
	e := newEmitter(x, clock, &ft)
	defer e.release()
	err := e.playRun(r)
	if err == nil {
		err = e.write()
	}
	if errors.Is(err, errReset) {
		panic(http.ErrAbortHandler)
	}
}

// playRun sends the events of a run in Coze's order. A stream that is interrupted has no Done.
func (e *emitter) playRun(r *run) error {
	due := e.chat.latency
	if e.chat.pace > 0 || due > 0 {
		if err := e.send("PING", func(dst []byte) []byte { return append(dst, `{"content":"{}"}`...) }); err != nil {
			return err
		}
	}
	if err := e.until(due); err != nil {
		return err
	}
	message := func(title, id, text string, n int) error {
		seq, count := 0, countPieces(text, n)
		for piece := range pieces(text, n) {
			last := seq == count-1
			err := e.send("Message", func(dst []byte) []byte {
				dst = appendString(append(dst, `{"content":`...), piece)
				dst = strconv.AppendBool(append(dst, `,"content_type":"text","node_is_finish":`...), last)
				dst = appendString(append(dst, `,"node_seq_id":`...), strconv.Itoa(seq))
				dst = appendString(append(dst, `,"node_title":`...), title)
				dst = appendString(append(dst, `,"node_id":`...), id)
				if last && id == endNode {
					dst = r.usage.append(append(dst, `,"usage":`...))
				}
				return append(dst, '}')
			})
			if err != nil {
				return err
			}
			seq++
			due += e.chat.pace
			if err := e.until(due); err != nil {
				return err
			}
		}
		return nil
	}
	for i, text := range r.nodes {
		if err := message("Message_"+strconv.Itoa(i+1), strconv.Itoa(100_000+i), text, e.x.fake.runPieces(r)); err != nil {
			return err
		}
	}
	if r.interrupt() != 0 {
		return e.send("Interrupt", func(dst []byte) []byte {
			return append(r.appendInterrupt(append(dst, `{"interrupt_data":`...)), `,"node_title":"Question"}`...)
		})
	}
	n := e.x.fake.runPieces(r)
	if json.Valid([]byte(r.output)) {
		n = 1 // the end node gives JSON whole
	}
	if err := message("End", endNode, r.output, n); err != nil {
		return err
	}
	if r.takes < 0 {
		return e.hang()
	}
	if e.fault.Done == "none" {
		return nil
	}
	return e.send("Done", func(dst []byte) []byte {
		if e.fault.Done == "empty" {
			return dst
		}
		return append(appendString(append(dst, `{"debug_url":`...), r.debugURL()), '}')
	})
}

// endNode is the id of every workflow's end node.
const endNode = "900001"
