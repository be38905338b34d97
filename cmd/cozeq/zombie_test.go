package main

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

// TestZombieWorker stops a worker in the middle of its chats, as a paused VM does, until
// another worker has ended them and the run has taken the answers out of Redis. The first
// one goes on then: each task must have ended once, and no record may be back.
func TestZombieWorker(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 20 s: leases must run out")
	}
	const rows = 60
	server := redistest.Start(t)
	p := &processes{dir: t.TempDir(), redis: server.URL(), fake: cozetest.New(t, cozetest.With(cozetest.Config{Latency: 2 * time.Second}))}
	p.questions(t, rows)
	messages := server.Client().PSubscribe(t.Context(), results.Channel("*"))
	defer messages.Close()
	if _, err := messages.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard := messages.Channel()

	zombie := p.start(t, "worker", "--http", "off")
	defer p.kill(zombie)
	run := p.command(t, "run", "q.jsonl", "-o", "out.jsonl")
	awaitServed(t, p.redis)
	var said bytes.Buffer
	run.Stdout, run.Stderr = &said, &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	for p.fake.Running() < rows {
		time.Sleep(time.Millisecond)
	}
	if err := zombie.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.serve(t, p.redis)
	if err := run.Wait(); err != nil {
		t.Fatalf("the run: %v\n%s", err, &said)
	}
	if left := redistest.Keys(t, server.Client(), "cozeq:result:*"); len(left) > 0 {
		t.Fatalf("the run has left %d records", len(left))
	}
	// It ends what it holds, as its drain is longer than that takes, and then itself.
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGCONT} {
		if err := zombie.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	_ = zombie.Wait()
	if back := redistest.Keys(t, server.Client(), "cozeq:result:*"); len(back) > 0 {
		t.Errorf("%d records are back", len(back))
	}
	// Messages come in order: the last of them is ours.
	if err := server.Client().Publish(t.Context(), results.Channel("last"), "").Err(); err != nil {
		t.Fatal(err)
	}
	times := make(map[string]int)
	for m := <-heard; m.Channel != results.Channel("last"); m = <-heard {
		times[m.Channel]++
	}
	twice := 0
	for _, n := range times {
		if n > 1 {
			twice++
		}
	}
	if twice > 0 || len(times) != rows {
		t.Errorf("%d of %d tasks have ended, %d of them twice", len(times), rows, twice)
	}
	if asked := p.fake.Accepted(); asked != rows {
		t.Errorf("%d chats for %d questions", asked, rows)
	}
}
