package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// BenchmarkFirstDelta compares the time to the first piece of an answer through the queue, enqueued and streamed by a
// tasks.Client, with that of the same chat asked at Coze directly. Mock and Redis are in processes of their own.
func BenchmarkFirstDelta(b *testing.B) {
	const pace = 20 * time.Millisecond
	for _, load := range []struct{ inFlight, deltas, rounds int }{{1, 10, 25}, {100, 200, 1}} {
		b.Run(fmt.Sprint("chats=", load.inFlight), func(b *testing.B) {
			rdb := redistest.Start(b).Client()
			url := startMock(b, load.deltas, envPace+"="+pace.String())
			knowRate(b, rdb, url)
			transport := coze.NewTransport(256)
			defer transport.CloseIdleConnections()
			client := &coze.Client{BaseURL: url, Auth: coze.StaticToken("token"), HTTP: &http.Client{Transport: transport}}
			w, err := worker.New(worker.Config{Redis: rdb, Coze: client, Concurrency: 128, Logger: slog.New(slog.DiscardHandler), Drain: -1})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- w.Run(ctx) }()
			queue := tasks.NewClient(results.NewStore(rdb))
			ways := map[string]func() time.Duration{
				"direct": func() time.Duration { return firstDirect(b, client) },
				"cozeq":  func() time.Duration { return firstQueued(b, queue) },
			}
			took := map[string][]time.Duration{}
			measure := func(keep bool) { // in turns: this machine is not equally fast from one second to the next
				for way, first := range ways {
					var mu sync.Mutex
					var all sync.WaitGroup
					for i := range load.inFlight {
						all.Go(func() {
							// They do not all begin at once.
							time.Sleep(pace * time.Duration(load.deltas*i/load.inFlight))
							for range load.rounds {
								d := first()
								mu.Lock()
								if keep {
									took[way] = append(took[way], d)
								}
								mu.Unlock()
							}
						})
					}
					all.Wait()
				}
			}
			measure(false)
			for b.Loop() {
				for range 3 {
					measure(true)
				}
			}
			for way, all := range took {
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, way+"-p50-ms")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, way+"-p99-ms")
			}
			b.ReportMetric(0, "ns/op")
			cancel()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}

func firstDirect(b *testing.B, client *coze.Client) (first time.Duration) {
	began := time.Now()
	stream, err := client.Stream(context.Background(), &coze.ChatRequest{BotID: "bot", UserID: "u", AdditionalMessages: []coze.Message{coze.UserText("why?")}})
	if err != nil {
		b.Error(err)
		return 0
	}
	defer stream.Close()
	stream.Deltas = true
	for e, err := range stream.Events() {
		if err != nil {
			b.Error(err)
		}
		if first == 0 && e.Type == coze.EventMessageDelta {
			first = time.Since(began)
		}
	}
	return first
}

func firstQueued(b *testing.B, client *tasks.Client) (first time.Duration) {
	began := time.Now()
	chat := tasks.Ask("bot", "why?")
	chat.Stream = true
	id, err := client.Enqueue(context.Background(), chat, tasks.Options{})
	if err != nil {
		b.Error(err)
		return 0
	}
	for piece, err := range client.Stream(context.Background(), id) {
		if err != nil {
			b.Error(err)
		}
		if first == 0 && piece.Text != "" {
			first = time.Since(began)
		}
	}
	return first
}
