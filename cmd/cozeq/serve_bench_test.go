package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/remoteredis"
)

// BenchmarkServeStream streams chats of 200 pieces, 100 at a time, through `cozeq serve` and a worker, and through a process
// that translates to Coze without a queue. Each of these is a process of its own; Coze and the clients are in this one, and
// what they take counts for neither side. The two sides take turns: a machine is not equally fast from one second to the
// next.
func BenchmarkServeStream(b *testing.B) {
	const chats, deltas = 100, 200
	turns := benchTurns(3)
	for _, load := range []struct {
		pace   time.Duration // between two pieces
		rounds int
	}{{20 * time.Millisecond, 2}, {0, 10}} {
		b.Run(fmt.Sprint("pace=", load.pace), func(b *testing.B) {
			h := startServe(b, cozetest.Config{DeltaPace: load.pace, Deltas: deltas, Answer: longAnswer})
			translator, url := h.listening(b, "translator")
			own := &side{url: h.url, pids: []int{h.serve, h.worker(b)}}
			plain := &side{url: url, pids: []int{translator.Process.Pid}}
			for _, s := range []*side{own, plain} {
				h.chat(b, s, chats, 1, load.pace*deltas)
				s.forget()
			}
			h.redis.ConfigResetStat(b.Context())
			before := h.redisCPU(b)
			n := 0
			for b.Loop() {
				for range turns {
					n += chats * load.rounds
					h.chat(b, plain, chats, load.rounds, load.pace*deltas)
					h.chat(b, own, chats, load.rounds, load.pace*deltas)
				}
			}
			each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
			b.ReportMetric(each(own.cpu[0]), "serve-us/chat")
			b.ReportMetric(each(own.cpu[1]), "worker-us/chat")
			b.ReportMetric(each(plain.cpu[0]), "plain-us/chat")
			b.ReportMetric(float64(own.cpu[0]+own.cpu[1])/float64(plain.cpu[0]), "ratio")
			b.ReportMetric(each(h.redisCPU(b)-before), "redis-us/chat")
			b.ReportMetric(h.redisCommands(b)/float64(n), "redis-commands/chat")
			for _, part := range []int{50, 99} {
				if load.pace == 0 { // all begin at once, and wait for each other
					break
				}
				b.ReportMetric(own.firstMS(part), fmt.Sprintf("serve-p%d-ms", part))
				b.ReportMetric(plain.firstMS(part), fmt.Sprintf("plain-p%d-ms", part))
				b.ReportMetric(own.firstMS(part)-plain.firstMS(part), fmt.Sprintf("added-p%d-ms", part))
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkServeSubmit submits questions over 64 connections to `cozeq serve` while the queue is paused, so that the
// worker, which must be there, takes none.
func BenchmarkServeSubmit(b *testing.B) {
	const connections, each = 64, 250
	h := startServe(b, cozetest.Config{})
	h.worker(b)
	if out, err := h.command(b, "queues", "pause", "default").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	h.submit(b, connections, 20)
	h.redis.ConfigResetStat(b.Context())
	s := &side{pids: []int{h.serve}}
	s.forget()
	before := h.redisCPU(b)
	var took time.Duration
	n := 0
	for b.Loop() {
		began, measured := time.Now(), s.measure(b)
		h.submit(b, connections, each)
		measured()
		took += time.Since(began)
		n += connections * each
	}
	redisTook := h.redisCPU(b) - before
	b.ReportMetric(float64(n)/took.Seconds(), "tasks/s")
	b.ReportMetric(float64(s.cpu[0].Microseconds())/float64(n), "serve-us/task")
	b.ReportMetric(float64(redisTook.Microseconds())/float64(n), "redis-us/task")
	b.ReportMetric(h.redisCommands(b)/float64(n), "redis-commands/task")
	b.ReportMetric(0, "ns/op")
}

// house is a `cozeq serve` on a Redis, with a fake of Coze.
type house struct {
	*processes
	url   string
	serve int // its process
	redis *redis.Client
}

func startServe(b *testing.B, c cozetest.Config) *house {
	c.KeepLog, c.Forget = -1, time.Minute
	server := redistest.Start(b)
	h := &house{processes: &processes{dir: b.TempDir(), fake: cozetest.New(b, cozetest.With(c))}}
	h.processes.redis = server.URL()
	rdb, err := remoteredis.Parse(server.URL(), 2)
	if err != nil {
		b.Fatal(err)
	}
	h.redis = rdb.Client.(*redis.Client)
	b.Cleanup(func() { h.redis.Close() })
	cmd, url := h.listening(b, "cozeq", "serve", "--http", "127.0.0.1:0", "--log", "warn")
	h.serve, h.url = cmd.Process.Pid, url
	return h
}

func (h *house) worker(b *testing.B) int {
	cmd := h.command(b, "worker", "--http", "off", "--concurrency", "128", "--rate", "10000/s", "--log", "warn")
	h.begin(b, cmd)
	awaitServed(b, h.processes.redis)
	return cmd.Process.Pid
}

func (h *house) begin(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
}

func (h *house) listening(b *testing.B, program string, args ...string) (cmd *exec.Cmd, url string) {
	b.Helper()
	cmd = h.command(b, args...)
	if path, err := exec.LookPath(program); err != nil {
		b.Fatal(err)
	} else {
		cmd.Path, cmd.Args[0] = path, program
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	h.begin(b, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}

// chat has that many clients ask that many questions each. They do not begin at once, but spread over the time of a chat.
func (h *house) chat(b *testing.B, s *side, clients, rounds int, length time.Duration) {
	b.Helper()
	defer s.measure(b)()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			time.Sleep(length * time.Duration(i) / time.Duration(clients))
			for k := range rounds {
				first, err := chatOnce(client, s.url, fmt.Sprint("question ", i, "-", k))
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				s.first = append(s.first, first)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// chatOnce asks, reads to the end, and returns when the first piece of the answer came.
func chatOnce(client *http.Client, url, question string) (first time.Duration, err error) {
	body := fmt.Sprintf(`{"model":"7342866812345","stream":true,"messages":[{"role":"user","content":%q}]}`, question)
	began := time.Now()
	resp, err := client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if first == 0 && bytes.Contains(lines.Bytes(), []byte(`"content":"`)) && !bytes.Contains(lines.Bytes(), []byte(`"content":""`)) {
			first = time.Since(began)
		}
		if bytes.Equal(lines.Bytes(), []byte("data: [DONE]")) {
			_, err := io.Copy(io.Discard, resp.Body) // so that the connection is used again
			return first, err
		}
	}
	return 0, fmt.Errorf("%s: the stream ended without [DONE]: %s %v", resp.Status, lines.Bytes(), lines.Err())
}

// submit has each of the connections submit that many questions, one after the plain. The client is a bare one: net/http
// would take more of the machine than the server.
func (h *house) submit(b *testing.B, connections, each int) {
	b.Helper()
	const body = `{"question":"What is a goroutine, and what does it cost?","bot_id":"bot","user_id":"somebody"}`
	host := strings.TrimPrefix(h.url, "http://")
	request := []byte("POST /api/v1/tasks HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			conn, err := net.Dial("tcp", host)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for range each {
				if _, err := conn.Write(request); err != nil {
					b.Error(err)
					return
				}
				if err := readAccepted(in); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func readAccepted(in *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 202")):
			return fmt.Errorf("%s", line)
		case len(line) == 2:
			_, err := in.Discard(length)
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
}

// side is one of the two ways to Coze.
type side struct {
	url   string
	pids  []int           // its processes
	cpu   []time.Duration // that they took in its own turns
	first []time.Duration // until the first piece of each chat
}

func (s *side) forget() { s.cpu, s.first = make([]time.Duration, len(s.pids)), nil }

// measure counts what the processes take until the function that it returns is called.
func (s *side) measure(b *testing.B) (done func()) {
	if s.cpu == nil {
		s.forget()
	}
	for i, pid := range s.pids {
		s.cpu[i] -= mustCPU(b, pid)
	}
	return func() {
		for i, pid := range s.pids {
			s.cpu[i] += mustCPU(b, pid)
		}
	}
}

func mustCPU(b *testing.B, pid int) time.Duration {
	b.Helper()
	cpu, err := cpuNow(pid)
	if err != nil {
		b.Fatal(err)
	}
	return cpu
}

func (s *side) firstMS(part int) float64 {
	slices.Sort(s.first)
	return float64(s.first[len(s.first)*part/100].Microseconds()) / 1000
}

// redisCPU is the CPU of Redis so far.
func (h *house) redisCPU(b *testing.B) (cpu time.Duration) {
	b.Helper()
	h.info(b, "cpu", func(line string) {
		for _, name := range []string{"used_cpu_sys:", "used_cpu_user:"} {
			if value, ok := strings.CutPrefix(line, name); ok {
				seconds, _ := strconv.ParseFloat(value, 64)
				cpu += time.Duration(seconds * float64(time.Second))
			}
		}
	})
	return cpu
}

// redisCommands is how many commands clients have sent since the last CONFIG RESETSTAT: those of scripts are not among them.
func (h *house) redisCommands(b *testing.B) (n float64) {
	b.Helper()
	h.info(b, "stats", func(line string) {
		if value, ok := strings.CutPrefix(line, "total_commands_processed:"); ok {
			n, _ = strconv.ParseFloat(value, 64)
		}
	})
	return n
}

func (h *house) info(b *testing.B, section string, each func(line string)) {
	b.Helper()
	text, err := h.redis.Info(b.Context(), section).Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(text) {
		each(strings.TrimSpace(line))
	}
}
