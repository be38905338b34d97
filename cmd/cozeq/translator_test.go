package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// translator is a process that translates OpenAI's chat completions to Coze without a queue: what one writes in an
// afternoon, and what `cozeq serve` is measured beside. It prints its URL.
func translator() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256 // with its default of 2 it would connect anew for nearly each chat
	h := &translation{os.Getenv("COZE_API_BASE"), os.Getenv("COZE_API_TOKEN"), &http.Client{Transport: transport}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + listener.Addr().String())
	panic(http.Serve(listener, h))
}

type translation struct {
	base, token string
	client      *http.Client
}

func (h *translation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Model    string `json:"model"`
		Messages []struct{ Role, Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var messages []map[string]string
	for _, m := range in.Messages {
		messages = append(messages, map[string]string{"role": m.Role, "content": m.Content, "content_type": "text"})
	}
	body, err := json.Marshal(map[string]any{"bot_id": in.Model, "user_id": "plain", "stream": true, "additional_messages": messages})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, h.base+"/v3/chat", bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	if err := h.translate(w, resp.Body, in.Model); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// translate decodes each event and writes each delta as a chunk.
func (h *translation) translate(w http.ResponseWriter, events io.Reader, model string) error {
	type delta struct {
		Content string `json:"content,omitempty"`
	}
	type choice struct {
		Index        int     `json:"index"`
		Delta        delta   `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	}
	type chunk struct {
		ID      string   `json:"id"`
		Object  string   `json:"object"`
		Created int64    `json:"created"`
		Model   string   `json:"model"`
		Choices []choice `json:"choices"`
	}
	send := func(id string, d delta, finish *string) error {
		raw, err := json.Marshal(chunk{"chatcmpl-" + id, "chat.completion.chunk", time.Now().Unix(), model, []choice{{0, d, finish}}})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", raw); err != nil {
			return err
		}
		w.(http.Flusher).Flush()
		return nil
	}
	lines := bufio.NewScanner(events)
	lines.Buffer(make([]byte, 0, 64<<10), 8<<20)
	event := ""
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event:"); ok {
			event = name
			continue
		}
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		switch event {
		case "conversation.message.delta":
			var m struct {
				ChatID  string `json:"chat_id"`
				Type    string `json:"type"`
				Content string `json:"content"`
			}
			if err := json.Unmarshal([]byte(data), &m); err != nil {
				return err
			}
			if m.Type == "answer" {
				if err := send(m.ChatID, delta{m.Content}, nil); err != nil {
					return err
				}
			}
		case "conversation.chat.completed":
			stop := "stop"
			if err := send("", delta{}, &stop); err != nil {
				return err
			}
			_, err := io.WriteString(w, "data: [DONE]\n\n")
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
