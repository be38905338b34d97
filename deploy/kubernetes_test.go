package deploy_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestKubernetes holds the manifests against what they promise: no root, nothing to
// write to, a program that has the flags, and time to end its chats.
func TestKubernetes(t *testing.T) {
	var list struct{ Resources []string }
	decode(t, "kubernetes/kustomization.yaml", func(d *yaml.Decoder) error { return d.Decode(&list) })
	deployments := 0
	for _, name := range list.Resources {
		decode(t, filepath.Join("kubernetes", name), func(d *yaml.Decoder) error {
			var m manifest
			if err := d.Decode(&m); err != nil {
				return err
			}
			if m.Kind == "" || m.APIVersion == "" || m.Metadata.Name == "" {
				t.Errorf("%s: a manifest without kind, apiVersion or name", name)
			}
			if m.Kind == "Secret" {
				t.Errorf("%s: a secret in the repository", name)
			}
			if m.Kind == "Deployment" {
				deployments++
				m.check(t, name)
			}
			return nil
		})
	}
	if deployments != 3 {
		t.Errorf("%d deployments, want the worker's, the dashboard's and serve's", deployments)
	}
}

type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Template struct {
			Spec pod
		}
	}
}

type pod struct {
	Grace           int `yaml:"terminationGracePeriodSeconds"`
	SecurityContext struct {
		NonRoot bool `yaml:"runAsNonRoot"`
		User    int  `yaml:"runAsUser"`
	} `yaml:"securityContext"`
	Containers []struct {
		Name            string
		Args            []string
		LivenessProbe   map[string]any `yaml:"livenessProbe"`
		ReadinessProbe  map[string]any `yaml:"readinessProbe"`
		SecurityContext struct {
			Escalation *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnly   bool  `yaml:"readOnlyRootFilesystem"`
			Caps       struct {
				Drop []string
			} `yaml:"capabilities"`
		} `yaml:"securityContext"`
		Resources struct {
			Limits map[string]string
		}
		VolumeMounts []struct {
			Name string
			Path string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
	Volumes []struct {
		Name   string
		Secret struct {
			Name     string `yaml:"secretName"`
			Optional bool
		}
	}
}

func (m *manifest) check(t *testing.T, file string) {
	p := m.Spec.Template.Spec
	if !p.SecurityContext.NonRoot || p.SecurityContext.User != 65532 {
		t.Errorf("%s: %s runs as root, or as another user than the image's", file, m.Metadata.Name)
	}
	for _, c := range p.Containers {
		s := c.SecurityContext
		if s.Escalation == nil || *s.Escalation || !s.ReadOnly || !slices.Equal(s.Caps.Drop, []string{"ALL"}) {
			t.Errorf("%s: container %s may do more than it needs", file, c.Name)
		}
		if c.LivenessProbe == nil || c.ReadinessProbe == nil || c.Resources.Limits["memory"] == "" {
			t.Errorf("%s: container %s lacks a probe or a limit of memory", file, c.Name)
		}
		takes(t, file, c.Args)
		if i := slices.Index(c.Args, "--drain"); i >= 0 {
			drain, err := time.ParseDuration(c.Args[i+1])
			if err != nil || time.Duration(p.Grace)*time.Second < drain+20*time.Second {
				t.Errorf("%s: %d s of grace for a drain of %s", file, p.Grace, c.Args[i+1])
			}
		}
	}
}

func decode(t *testing.T, name string, one func(*yaml.Decoder) error) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := yaml.NewDecoder(f); ; {
		err := one(d)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// takes checks that the program has the command and the flags.
func takes(t *testing.T, file string, args []string) {
	t.Helper()
	if len(args) == 0 {
		t.Errorf("%s: no command", file)
		return
	}
	help, err := exec.CommandContext(t.Context(), program(t), args[0], "--help").CombinedOutput()
	if err != nil {
		t.Errorf("%s: cozeq %s --help: %v\n%s", file, args[0], err, help)
	}
	if !strings.Contains(string(help), "cozeq "+args[0]) {
		t.Errorf("%s: there is no command %q", file, args[0])
	}
	for _, arg := range args[1:] {
		if flag, _, _ := strings.Cut(arg, "="); strings.HasPrefix(flag, "--") && !strings.Contains(string(help), flag+" ") {
			t.Errorf("%s: cozeq %s has no %s", file, args[0], flag)
		}
	}
}
