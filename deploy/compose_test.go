package deploy_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// pinned is an image whose version does not move; our own is built here.
var pinned = regexp.MustCompile(`^(cozeq:\$\{VERSION:-dev\}|[\w./-]+:v?\d+\.\d+[\w.-]*)$`)

type composeService struct {
	Image       string
	Command     yaml.Node
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Ports       []string
	Healthcheck struct{ Test []string }
	DependsOn   map[string]any `yaml:"depends_on"`
}

// TestCompose holds docker-compose.yml against what it promises.
func TestCompose(t *testing.T) {
	var file struct{ Services map[string]composeService }
	decode(t, "../docker-compose.yml", func(d *yaml.Decoder) error { return d.Decode(&file) })
	for _, name := range []string{"redis", "mock", "worker", "dashboard"} {
		if _, ok := file.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	for name, s := range file.Services {
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %q has no fixed version", name, s.Image)
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may do more than it needs", name)
		}
		if len(s.Healthcheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: other machines can reach port %s", name, port)
			}
		}
		for other := range s.DependsOn {
			if _, ok := file.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		if strings.HasPrefix(s.Image, "cozeq:") {
			var args []string
			if err := s.Command.Decode(&args); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			takes(t, "docker-compose.yml", args)
			if check := s.Healthcheck.Test; len(check) > 2 {
				takes(t, "docker-compose.yml", check[2:])
			}
		}
	}
	for _, compose := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.CommandContext(t.Context(), compose[0], append(compose[1:], "version")...).Run() != nil {
			continue
		}
		args := append(compose[1:], "-f", "../docker-compose.yml", "config", "--quiet")
		if out, err := exec.CommandContext(t.Context(), compose[0], args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(compose, " "), err, out)
		}
		return
	}
	t.Log("no docker compose here: it has not read the file itself")
}
