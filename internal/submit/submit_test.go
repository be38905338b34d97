package submit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/internal/workertest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Which requests are one task. Each is compared with the first one, by key acme and with question q.
func TestIdempotency(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		workertest.Start(t, rdb, cozetest.New(t).Client())
		store := results.NewStore(rdb)
		t.Cleanup(func() { store.Close() })
		client := submit.New(submit.Config{Tasks: tasks.NewClient(store)})
		const same, fresh, conflict = "same", "fresh", "conflict"
		type try struct {
			tenant, question, id, key string
			join                      bool
			retry                     int
			canceled                  bool // before any worker has begun it
			background                bool
		}
		for _, tt := range []struct {
			name         string
			first, again try
			want         string
		}{
			{"nothing", try{}, try{}, fresh},
			{"id", try{id: "a"}, try{id: "a"}, same},
			{"id, other question", try{id: "b"}, try{id: "b", question: "other"}, conflict},
			{"id, other tenant", try{id: "c"}, try{id: "c", tenant: "other"}, conflict},
			{"key", try{key: "k1"}, try{key: "k1"}, same},
			{"key, other question", try{key: "k2"}, try{key: "k2", question: "other"}, conflict},
			{"key, other tenant", try{key: "k3"}, try{key: "k3", tenant: "other"}, fresh},
			{"key decides before a retry", try{key: "k4", join: true}, try{key: "k5", join: true, retry: 1}, fresh},
			{"retry", try{question: "r1", join: true}, try{question: "r1", join: true, retry: 1}, same},
			{"retry of a retry", try{question: "r2", join: true, retry: 1}, try{question: "r2", join: true, retry: 2}, same},
			{"first try again", try{question: "r3", join: true}, try{question: "r3", join: true}, fresh},
			{"retry, other question", try{question: "r4", join: true}, try{question: "r5", join: true, retry: 1}, fresh},
			{"retry, other tenant", try{question: "r6", join: true}, try{question: "r6", tenant: "other", join: true, retry: 1}, fresh},
			{"retry where none joins", try{question: "r7"}, try{question: "r7", retry: 1}, fresh},
			{"canceled", try{question: "c1", join: true, canceled: true}, try{question: "c1", join: true, retry: 1, canceled: true}, fresh},
			{"canceled, key", try{key: "k6", join: true, canceled: true}, try{key: "k6", join: true, canceled: true}, fresh},
			{"canceled, key, other question", try{key: "k7", join: true, canceled: true}, try{key: "k7", question: "other", join: true, canceled: true}, conflict},
			{"canceled, in the background", try{question: "c2", join: true, canceled: true, background: true}, try{question: "c2", join: true, retry: 1, canceled: true, background: true}, same},
			{"canceled, where none joins", try{key: "k8", canceled: true}, try{key: "k8", canceled: true}, same},
		} {
			send := func(s try) (submit.Ticket, error) {
				tenant, question := "acme", "q"
				if s.tenant != "" {
					tenant = s.tenant
				}
				if s.question != "" {
					question = s.question
				}
				ctx := apikey.NewContext(context.Background(), &apikey.Key{Name: tenant})
				r := &submit.Request{
					Chat:    &tasks.Chat{BotID: "7461001", AdditionalMessages: []tasks.Message{tasks.Question(question)}},
					Options: tasks.Options{ID: s.id}, IdempotencyKey: s.key, Join: s.join, Retry: s.retry, Now: !s.background,
				}
				if s.canceled {
					r.Options.Delay = time.Hour
				}
				return client.Submit(ctx, r)
			}
			first, err := send(tt.first)
			if err != nil || first.Existed || first.Record.ID != first.ID {
				t.Fatalf("%s: %+v, %v", tt.name, first, err)
			}
			if tt.first.canceled {
				if err := client.Cancel(context.Background(), first.ID); err != nil {
					t.Fatal(err)
				}
			}
			again, err := send(tt.again)
			_, refused := errors.AsType[*submit.ConflictError](err)
			got := fresh
			switch {
			case refused:
				got = conflict
			case err != nil:
				t.Fatalf("%s: %v", tt.name, err)
			case again.ID == first.ID:
				got = same
			}
			if got != tt.want || again.Existed != (got != fresh) {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
			if third, err := send(tt.again); tt.first.canceled && got != conflict && (err != nil || third.ID != again.ID) {
				t.Errorf("%s: the next retry has %s, want %s: %v", tt.name, third.ID, again.ID, err)
			}
		}
	})
}
