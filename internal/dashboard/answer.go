package dashboard

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cozeq/cozeq/results"
)

func (s *sheet) status(r *results.Result) {
	s.fact("status", string(r.Status))
	if f := r.Error; f != nil {
		s.fact("error", f.Error())
		s.fact("hint", f.Hint)
		s.fact("logid", f.LogID)
	}
}

// answer writes the rest of a task's record: the answer, its cost, and its ids at Coze.
func (s *sheet) answer(r *results.Result) {
	if r.Answer != "" {
		s.block("answer", r.Answer)
	}
	if len(r.FollowUps) > 0 {
		s.gap()
		s.block("follow_ups", strings.Join(r.FollowUps, "\n"))
	}
	if r.Reasoning != "" {
		s.gap()
		s.block("reasoning", r.Reasoning)
	}
	s.gap()
	if u := r.Usage; u != nil {
		s.fact("usage", fmt.Sprintf("%d tokens, %d in and %d out", u.TokenCount, u.InputCount, u.OutputCount))
	}
	if r.Attempts > 0 {
		s.fact("attempts", strconv.Itoa(r.Attempts))
	}
	if r.PossibleDuplicate {
		s.fact("possible_duplicate", "true")
	}
	s.fact("other_chat_ids", strings.Join(r.OtherChatIDs, " "))
	s.fact("warnings", strings.Join(r.Warnings, "\n"))
	s.fact("bot_id", r.BotID)
	s.fact("conversation_id", r.ConversationID)
	s.fact("chat_id", r.ChatID)
	s.moment("created_at", r.CreatedAt)
	s.moment("started_at", r.StartedAt)
	s.moment("completed_at", r.CompletedAt)
}

func (s *sheet) moment(name string, t results.Time) {
	if !t.IsZero() {
		s.fact(name, t.String())
	}
}
