package deploy_test

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/cozeq/cozeq/internal/redistest"
)

// stackPatience bounds each wait. All of them together take some 15 s; a crowded machine may take minutes.
const stackPatience = 3 * time.Minute

// TestStack runs what `docker compose up` runs, without Docker: each program with the arguments, the environment and
// the health check of docker-compose.yml, on an address of its own, with Redis' settings and Prometheus' files from
// there. Then questions are asked, and every rule and every query of the Grafana dashboard has to have something to
// say. Grafana itself is not part of it.
func TestStack(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("wants a loopback network of many addresses, as Linux has it")
	}
	prometheus, err := exec.LookPath(cmp.Or(os.Getenv("COZEQ_PROMETHEUS"), "prometheus"))
	if err != nil {
		if os.Getenv("COZEQ_REQUIRE_PROMETHEUS") != "" {
			t.Fatalf("no prometheus: %v", err)
		}
		t.Skip("no prometheus on PATH: make stack gets it where Debian's packages can be had")
	}
	s := &stack{services: composeServices(t), address: map[string]string{}, env: map[string]string{
		"COZE_API_TOKEN_EXPIRES": time.Now().Add(30 * 24 * time.Hour).UTC().Format(time.DateOnly),
		"COZEQ_API_KEYS":         write(t, "keys.json", `{"local": {"sha256": "`+hashOf(stackKey)+`", "operator": true, "expires": "2099-01-01"}}`),
		"COZEQ_WEBHOOK_SECRETS":  write(t, "secrets", "local whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"),
		"COZEQ_WEBHOOK_ALLOW":    "127.0.0.0/8",
	}}
	// Addresses instead of names: 127.A.B.1, .2 and so on. A and B keep two such tests apart.
	network := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(250), 1+rand.IntN(250))
	for i, name := range []string{"mock", "worker", "worker2", "dashboard", "serve", "prometheus"} {
		s.address[name] = fmt.Sprint(network, i+1)
	}
	s.redis(t)
	s.start(t, "mock", "mock", program(t))
	s.start(t, "worker", "worker", program(t))
	s.start(t, "worker", "worker2", program(t))
	s.start(t, "dashboard", "dashboard", program(t))
	s.start(t, "serve", "serve", program(t))
	s.prometheus(t, prometheus)
	s.healthy(t, "mock", "worker", "worker2", "dashboard", "serve")
	s.locked(t)

	p := prometheusAPI("http://" + s.address["prometheus"] + ":9090")
	eventually(t, "every target is scraped", func() error { return p.up(map[string]int{"cozeq-worker": 2, "cozeq-dashboard": 1, "cozeq-serve": 1}) })
	// A bot that cannot be asked, so that there is a pause to be seen.
	s.cozeq(t, 0, "ask", "--no-wait", "--bot", "draft", "[[mock:code=4015]] nobody has published this bot")
	s.api(t, "/api/v1/queues/low/pause", ``)
	s.api(t, "/api/v1/tasks", `{"question": "wait", "queue": "low"}`)
	queries := dashboardQueries(t)
	eventually(t, "every panel shows something", func() error {
		// One question in twenty fails for good, one is put off for the rate, one asked again, one looked up.
		questions := strings.Repeat("how are you?\n", 36) +
			"[[mock:fail=4010]] too long\n[[mock:code=4013 times=1]] too fast\n[[mock:code=5000 times=1]] trouble\n[[mock:cut=4]] cut\n"
		file := filepath.Join(t.TempDir(), "questions.txt")
		if err := os.WriteFile(file, []byte(questions), 0o600); err != nil {
			t.Fatal(err)
		}
		s.cozeq(t, 3, "run", file, "-o", file+".jsonl") // 3: some failed
		s.api(t, "/api/v1/tasks", `{"question": "tell me", "webhook": {"url": "http://`+s.address["mock"]+`:8080/nobody"}}`)
		s.api(t, "/v1/chat/completions", `{"model": "mock", "stream": true, "messages": [{"role": "user", "content": "why?"}]}`)
		return p.answers(queries)
	})
	eventually(t, "every rule was evaluated", p.rules)
	records := recorded(t)
	eventually(t, "every recording rule records something", func() error { return p.answers(records) })
	eventually(t, "the dashboard has charts", s.charts)
	alerts, err := p.alerts()
	if err != nil {
		t.Fatal(err)
	}
	if alerts["CozeqBotPaused"] != "pending" {
		t.Errorf("alerts %v: a paused bot is not among them", alerts)
	}
	for name, state := range alerts {
		if state == "firing" {
			t.Errorf("%s fires, and all is well", name)
		}
	}
	t.Logf("%d queries of the dashboard and %d recording rules have data; alerts: %v", len(queries), len(records), alerts)
}

type stack struct {
	services map[string]composeService
	address  map[string]string // of each container
	env      map[string]string // what a file .env would say
	redisURL string
}

// redis starts Redis with compose's settings, on a port of its own.
func (s *stack) redis(t *testing.T) {
	var opts []redistest.Option
	command := s.services["redis"].Command
	for i := 1; i+1 < len(command); i += 2 {
		opts = append(opts, redistest.Config(strings.TrimPrefix(command[i], "--"), filled(command[i+1], s.env)))
	}
	s.redisURL = redistest.Start(t, opts...).URL()
}

// here is a text of the service as it has to be where names are addresses.
func (s *stack) here(container, text string) string {
	text = filled(text, s.env)
	text = strings.ReplaceAll(text, "redis://redis:6379/0", s.redisURL)
	for _, own := range []string{"0.0.0.0:", "127.0.0.1:"} {
		if !strings.Contains(text, s.redisURL) {
			text = strings.ReplaceAll(text, own, s.address[container]+":")
		}
	}
	for name, address := range s.address {
		text = strings.ReplaceAll(text, "://"+name+":", "://"+address+":")
	}
	return text
}

func (s *stack) command(t *testing.T, service, container, binary string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), binary)
	for _, arg := range args {
		cmd.Args = append(cmd.Args, s.here(container, arg))
	}
	cmd.Dir, cmd.Env = t.TempDir(), []string{"HOME=/nonexistent"}
	for name, value := range s.services[service].Environment {
		value = s.here(container, value)
		if file, ok := s.services[service].secretFiles[value]; ok {
			value = filled(file, s.env)
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// stackKey is the key of deploy/compose/api-keys.json, which is known to all.
const stackKey = "cozeq-on-this-machine"

func hashOf(key string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(key))) }

func write(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// api posts to serve, with its key.
func (s *stack) api(t *testing.T, path, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address["serve"]+":8787"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+stackKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s: %s %s, %v", path, response.Status, answer, err)
	}
}

// start runs a container's program until the test ends, which it has to do by itself when it is told to.
func (s *stack) start(t *testing.T, service, container, binary string) {
	run(t, container, s.command(t, service, container, binary, s.services[service].Command))
}

// prometheus starts it with compose's flags, on the files that compose mounts. Two things differ: the workers' names
// are addresses, and it looks once a second.
func (s *stack) prometheus(t *testing.T, binary string) {
	service := s.services["prometheus"]
	config, data := t.TempDir(), t.TempDir()
	mounted := service.mounts()["/etc/prometheus"]
	if err := os.CopyFS(config, os.DirFS(mounted)); err != nil {
		t.Fatal(err)
	}
	text := text(t, filepath.Join(mounted, "prometheus.yml"))
	text = regexp.MustCompile(`(_interval): \d+s`).ReplaceAllString(text, "$1: 1s")
	text = regexp.MustCompile(`dns_sd_configs:\s+- names: \[(\w+)\]\s+type: A\s+port: (\d+)`).ReplaceAllStringFunc(text, func(old string) string {
		m := regexp.MustCompile(`\[(\w+)\]\s+type: A\s+port: (\d+)`).FindStringSubmatch(old)
		targets := []string{}
		for container, address := range s.address {
			if strings.TrimRight(container, "2") == m[1] {
				targets = append(targets, address+":"+m[2])
			}
		}
		return "static_configs: [{targets: [" + strings.Join(targets, ", ") + "]}]"
	})
	if err := os.WriteFile(filepath.Join(config, "prometheus.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := s.command(t, "prometheus", "prometheus", binary, service.Command)
	for i, arg := range cmd.Args {
		cmd.Args[i] = strings.NewReplacer("=/etc/prometheus/", "="+config+"/", "=/prometheus", "="+data).Replace(arg)
	}
	cmd.Args = append(cmd.Args, "--web.listen-address="+s.address["prometheus"]+":9090")
	run(t, "prometheus", cmd)
	check := service.Healthcheck.Test
	eventually(t, "prometheus is well", func() error {
		_, err := get(s.here("prometheus", check[len(check)-1]), "")
		return err
	})
}

// healthy waits for the containers' own health checks.
func (s *stack) healthy(t *testing.T, containers ...string) {
	for _, container := range containers {
		service := strings.TrimRight(container, "2")
		eventually(t, container+" is healthy", func() error {
			out, err := s.command(t, service, container, program(t), s.services[service].Healthcheck.Test[2:]).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	}
}

func (s *stack) token() string {
	return filled(s.services["dashboard"].Environment["COZEQ_MONITOR_TOKEN"], s.env)
}

// locked checks that the dashboard wants its token and serve its key, and that the workers show no dashboard.
func (s *stack) locked(t *testing.T) {
	page := "http://" + s.address["dashboard"] + ":8081/monitor/"
	if _, err := get(page, ""); err == nil {
		t.Errorf("the dashboard is open to anybody")
	}
	if _, err := get(page, s.token()); err != nil {
		t.Errorf("the dashboard with its token: %v", err)
	}
	metrics := "http://" + s.address["serve"] + ":8787/metrics"
	if _, err := get(metrics, ""); err == nil {
		t.Errorf("serve is open to anybody")
	}
	if _, err := get(metrics, stackKey); err != nil {
		t.Errorf("serve with its key: %v", err)
	}
	if _, err := get("http://"+s.address["worker"]+":9464/monitor/", s.token()); err == nil {
		t.Errorf("a worker shows a dashboard, too")
	}
}

// charts asks the dashboard for what it has from Prometheus.
func (s *stack) charts() error {
	page, err := get("http://"+s.address["dashboard"]+":8081/monitor/api/metrics", s.token())
	if err == nil && !strings.Contains(string(page), `"queue":"default"`) {
		return fmt.Errorf("nothing of queue default: %.200s", page)
	}
	return err
}

// cozeq runs a command as a person at this machine would.
func (s *stack) cozeq(t *testing.T, code int, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t), args...)
	cmd.Env = []string{"REDIS_URL=" + s.redisURL, "COZE_BOT_ID=mock"}
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("cozeq %s: exit code %d, want %d\n%s", args[0], got, code, out)
	}
}

// eventually waits until check is content.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.After(stackPatience)
	for tick := time.Tick(200 * time.Millisecond); ; {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("not in %v: %s: %v", stackPatience, what, err)
		case <-tick:
		}
	}
}

func recorded(t *testing.T) (names []string) {
	var file struct {
		Groups []struct{ Rules []struct{ Record string } }
	}
	decode(t, "prometheus/cozeq-slo.yml", func(d *yaml.Decoder) error { return d.Decode(&file) })
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Record)
		}
	}
	return names
}
