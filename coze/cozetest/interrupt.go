package cozetest

import "strconv"

// interrupt plays the fault whose turn it is before the next event. It returns
// nil when the stream goes on after it.
func (e *emitter) interrupt() error {
	f, ft := e.x.fake, e.fault
	switch ft.Kind {
	case Cut:
		if !ft.MidJSON {
			return e.cut()
		}
		e.half = true
	case Stall:
		if ft.For > 0 {
			e.shift += ft.For
			return e.sleep(ft.For)
		}
		f.detach(e.chat)
		if err := e.flush(); err != nil {
			return err
		}
		return e.hang()
	case Drip:
		return e.drip()
	case Bare:
		e.buf = appendDetail(appendEnvelope(e.buf, ft.code(), ft.msg()), e.x.entry.LogID)
		return e.broken()
	case Error:
		if err := e.sendError("error", ft.Code, ft.msg()); err != nil {
			return err
		}
		return e.broken()
	case Fail:
		f.end(e.chat, statusFailed)
		if err := e.sendChat(chatFailed, statusFailed); err != nil {
			return err
		}
		return e.ended(e.done())
	case FailFlat:
		f.end(e.chat, statusFailed)
		err := e.send(chatFailed, func(dst []byte) []byte {
			dst = strconv.AppendInt(append(dst, `{"code":"`...), int64(ft.code()), 10)
			return append(appendString(append(dst, `","msg":`...), ft.msg()), '}')
		})
		if err != nil {
			return err
		}
		return e.ended(e.done())
	}
	return nil
}

// ended makes a stream that was played to its end by a fault stop there.
func (e *emitter) ended(err error) error {
	if err != nil {
		return err
	}
	return errOver
}

// broken ends a stream after an error in it. With Then it shows the rest of a
// muddled server's stream: the end that Then names, as if there had been no error.
func (e *emitter) broken() error {
	if e.chat == nil {
		return e.cut()
	}
	if e.fault.Kind == Error && e.fault.Then == Completed {
		return e.ended(e.finish())
	}
	if e.fault.Then == "" {
		e.x.fake.end(e.chat, statusFailed)
	}
	return e.cut()
}

// hang waits for the client to give up.
func (e *emitter) hang() error { return e.x.wait(forever, e.chat.canceled) }

func (e *emitter) drip() error {
	for {
		e.buf = append(e.buf, ":keep-alive\n\n"...)
		if err := e.sleep(e.chat.pace); err != nil {
			return err
		}
	}
}
