package deploy_test

import (
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	composeFile = "../docker-compose.yml"
	exampleFile = "../.env.example"
)

// pinned is an image whose version does not move; our own is built here.
var pinned = regexp.MustCompile(`^(cozeq:\$\{VERSION:-dev\}|[\w./-]+:v?\d+\.\d+[\w.-]*)$`)

type composeService struct {
	Image       string
	Command     []string
	User        string
	Environment map[string]string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	CapAdd      []string `yaml:"cap_add"`
	SecurityOpt []string `yaml:"security_opt"`
	Ports       []string
	Volumes     []string
	Healthcheck struct{ Test []string }
	DependsOn   map[string]any `yaml:"depends_on"`
	Deploy      struct{ Replicas int }
	Secrets     []string
	Tmpfs       []string

	secretFiles map[string]string // where it sees them, and what they are of
}

func (s composeService) ours() bool { return strings.HasPrefix(s.Image, "cozeq:") }

// mounts are the directories of this repository that the service sees, by where it sees them.
func (s composeService) mounts() map[string]string {
	mounts := map[string]string{}
	for _, volume := range s.Volumes {
		if from, to, _ := strings.Cut(volume, ":"); strings.HasPrefix(from, "./") {
			mounts[strings.TrimSuffix(to, ":ro")] = path.Join("..", from)
		}
	}
	return mounts
}

func composeServices(t *testing.T) map[string]composeService {
	t.Helper()
	var file struct {
		Services map[string]composeService
		Secrets  map[string]struct{ File string }
	}
	decode(t, composeFile, func(d *yaml.Decoder) error { return d.Decode(&file) })
	for name, s := range file.Services {
		s.secretFiles = map[string]string{}
		for _, secret := range s.Secrets {
			s.secretFiles["/run/secrets/"+secret] = file.Secrets[secret].File
		}
		file.Services[name] = s
	}
	return file.Services
}

// TestCompose holds docker-compose.yml against what it promises.
func TestCompose(t *testing.T) {
	services := composeServices(t)
	want := []string{"dashboard", "grafana", "mock", "prometheus", "redis", "serve", "worker"}
	if got := slices.Sorted(maps.Keys(services)); !slices.Equal(got, want) {
		t.Errorf("services %q, want %q", got, want)
	}
	for name, s := range services {
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %q has no fixed version", name, s.Image)
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may do more than it needs", name)
		}
		// Our own image has its user in it, see TestDockerfile.
		if user, _, _ := strings.Cut(s.User, ":"); !s.ours() && (user == "" || user == "0" || user == "root") {
			t.Errorf("%s runs as %q", name, s.User)
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
			if _, ok := services[other]; !ok {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		for at, from := range s.secretFiles {
			if _, err := os.Stat(path.Join("..", filled(from, nil))); err != nil && filled(from, nil) != os.DevNull {
				t.Errorf("%s: %v", name, err)
			}
			if !slices.ContainsFunc(slices.Collect(maps.Values(s.Environment)), func(v string) bool { return strings.Contains(v, at) }) {
				t.Errorf("%s is not told of %s", name, at)
			}
		}
		for _, from := range s.mounts() {
			if info, err := os.Stat(from); err != nil || !info.IsDir() {
				t.Errorf("%s mounts %s: %v", name, from, err)
			}
		}
		if s.ours() {
			takes(t, composeFile, s.Command)
			if check := s.Healthcheck.Test; len(check) > 2 {
				takes(t, composeFile, check[2:])
			}
		}
	}
	if n := services["worker"].Deploy.Replicas; n != 2 {
		t.Errorf("%d workers, want two", n)
	}
	if keys := text(t, "compose/api-keys.json"); !strings.Contains(keys, hashOf(stackKey)) {
		t.Errorf("the key that docker-compose.yml names is not in %s", keys)
	}
	if tmp := services["serve"].Tmpfs; len(tmp) != 1 || !strings.HasPrefix(tmp[0], "/tmp:") {
		t.Errorf("serve has %q to write to, and keeps uploads in /tmp", tmp)
	}
	redis := strings.Join(services["redis"].Command, " ")
	for _, setting := range []string{"--appendonly yes", "--maxmemory-policy noeviction", "--maxmemory ${"} {
		if !strings.Contains(redis, setting) {
			t.Errorf("redis has no %s: %s", setting, redis)
		}
	}
	for _, compose := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.CommandContext(t.Context(), compose[0], append(compose[1:], "version")...).Run() != nil {
			continue
		}
		args := append(compose[1:], "-f", composeFile, "config", "--quiet")
		if out, err := exec.CommandContext(t.Context(), compose[0], args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(compose, " "), err, out)
		}
		return
	}
	t.Log("no docker compose here: it has not read the file itself")
}

// filled is what compose makes of ${NAME}, ${NAME:-default} and ${NAME:+instead}.
func filled(text string, env map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		m := variable.FindStringSubmatch(v)
		name, def, instead := m[1], m[2], m[3]
		switch value := env[name]; {
		case value == "":
			return def
		case instead != "":
			return instead
		default:
			return value
		}
	})
}

var variable = regexp.MustCompile(`\$\{(\w+)(?::-([^}]*)|:\+([^}]*))?\}`)

// TestEnvExample wants .env.example to name what docker-compose.yml takes, and nothing else: a slip of the pen in an
// environment file is not reported by anybody.
func TestEnvExample(t *testing.T) {
	compose, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]string{}
	for _, m := range variable.FindAllStringSubmatch(string(compose), -1) {
		taken[m[1]] = m[2]
	}
	delete(taken, "VERSION")                                     // make sets it
	taken["COZEQ_KEYS"], taken["COZEQ_WEBHOOK_SECRETS"] = "", "" // where there are none something has to be mounted, which is no setting
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^(#?)([A-Z]\w+)=(.*)$`).FindAllStringSubmatch(string(example), -1) {
		def, ok := taken[m[2]]
		if !ok {
			t.Errorf("%s: docker-compose.yml takes no %s", exampleFile, m[2])
		}
		if m[1] == "#" && def != "" && m[3] != def {
			t.Errorf("%s: without %s it is %q, not %q", exampleFile, m[2], def, m[3])
		}
		delete(taken, m[2])
	}
	for name := range taken {
		t.Errorf("%s has no %s", exampleFile, name)
	}
}

// TestGrafanaProvisioning follows the files from what Grafana is told to what is there: it starts with empty pages
// where one of the paths is wrong, and says nothing.
func TestGrafanaProvisioning(t *testing.T) {
	services := composeServices(t)
	grafana := services["grafana"]
	mounts := grafana.mounts()
	here := func(file string) string { return path.Join(mounts[path.Dir(file)], path.Base(file)) }
	if home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]; here(home) != "../deploy/grafana/dashboards/cozeq.json" {
		t.Errorf("the first page is %q, which no mount has", home)
	}
	if mounts["/etc/grafana/provisioning"] != "../deploy/grafana/provisioning" {
		t.Errorf("mounts %q: Grafana looks for its provisioning elsewhere", mounts)
	}
	var providers struct {
		Providers []struct {
			Options struct{ Path string }
		}
	}
	decode(t, "grafana/provisioning/dashboards/cozeq.yml", func(d *yaml.Decoder) error { return d.Decode(&providers) })
	for _, p := range providers.Providers {
		if _, err := os.Stat(here(path.Join(p.Options.Path, "cozeq.json"))); err != nil {
			t.Errorf("provider of %q: %v", p.Options.Path, err)
		}
	}
	if len(providers.Providers) != 1 {
		t.Errorf("%d providers of dashboards, want one", len(providers.Providers))
	}
	var sources struct {
		Datasources []struct {
			Type, URL string
			Default   bool `yaml:"isDefault"`
		}
	}
	decode(t, "grafana/provisioning/datasources/prometheus.yml", func(d *yaml.Decoder) error { return d.Decode(&sources) })
	if len(sources.Datasources) != 1 || sources.Datasources[0].Type != "prometheus" || !sources.Datasources[0].Default ||
		sources.Datasources[0].URL != "http://prometheus:9090" {
		t.Errorf("datasources %+v, want Prometheus as the only one", sources.Datasources)
	}
}

// TestDockerfile holds the image's recipe against what the others take from it.
func TestDockerfile(t *testing.T) {
	recipe := text(t, "Dockerfile")
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	// go.mod has the lowest Go that works; the image is built with a later patch of it, which is pinned.
	lowest := regexp.MustCompile(`(?m)^go (\d+\.\d+\.)0$`).FindStringSubmatch(string(mod))
	if lowest == nil {
		t.Fatal("go.mod wants a patch release of Go: a distribution's Go of the same minor version works as well")
	}
	ignored := text(t, "Dockerfile.dockerignore")
	sources, err := filepath.Glob("../*/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal("no packages: ", err)
	}
	for _, file := range sources {
		if dir := path.Base(path.Dir(file)); dir != "deploy" && !strings.Contains(ignored, "\n!"+dir+"\n") {
			t.Errorf("the image is built without %s: Dockerfile.dockerignore leaves it out", dir)
		}
	}
	for _, want := range []string{
		"\nARG GO_VERSION=" + lowest[1],
		"target=/go/pkg/mod ", "target=/root/.cache/go-build ", // a change of one line compiles one package
		"\nFROM scratch\n",
		"\nUSER 65532:65532\n",
		`ENTRYPOINT ["/bin/cozeq"]`,
	} {
		if !strings.Contains(recipe, want) {
			t.Errorf("no %q in the Dockerfile", want)
		}
	}
}
