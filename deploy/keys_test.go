package deploy_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestKeyFile wants a file with keys to be where worker, dashboard and serve are told that it
// is, in each way to run them, and a run without one to ask for none: what reads keys
// ends where the file is missing.
func TestKeyFile(t *testing.T) {
	t.Run("compose", func(t *testing.T) {
		for _, name := range []string{"worker", "dashboard", "serve"} {
			s := composeServices(t)[name]
			said := s.Environment["COZEQ_ENCRYPTION_KEY_FILE"]
			if got := filled(said, nil); got != "" {
				t.Errorf("%s: without keys it is told of %s", name, got)
			}
			env := map[string]string{"COZEQ_KEYS": "./cozeq.keys"}
			want := "./cozeq.keys:" + filled(said, env) + ":ro"
			if !slices.ContainsFunc(s.Volumes, func(v string) bool { return filled(v, env) == want }) {
				t.Errorf("%s mounts %q, not %s", name, s.Volumes, want)
			}
		}
	})
	t.Run("systemd", func(t *testing.T) {
		unit := text(t, unitFile)
		said := regexp.MustCompile(`(?m)^#Environment=COZEQ_ENCRYPTION_KEY_FILE=%d/(\S+)$`).FindStringSubmatch(unit)
		if said == nil || !strings.Contains(unit, "\n#LoadCredential="+said[1]+":/etc/cozeq/") {
			t.Errorf("%s: no credential is where the program looks for keys", unitFile)
		}
	})
	t.Run("kubernetes", func(t *testing.T) {
		const config = "kubernetes/config.yaml"
		said := regexp.MustCompile(`(?m)^  # COZEQ_ENCRYPTION_KEY_FILE: (\S+)$`).FindStringSubmatch(text(t, config))
		if said == nil {
			t.Fatalf("%s does not say how to set keys", config)
		}
		if !strings.Contains(text(t, "kubernetes/secret.example.yaml"), "--from-file="+path.Base(said[1])) {
			t.Errorf("no secret has %s", path.Base(said[1]))
		}
		for _, name := range []string{"worker", "dashboard", "serve"} {
			file := "kubernetes/" + name + ".yaml"
			var p pod
			decode(t, file, func(d *yaml.Decoder) error {
				var m manifest
				err := d.Decode(&m)
				if m.Kind == "Deployment" {
					p = m.Spec.Template.Spec
				}
				return err
			})
			if len(p.Containers) != 1 {
				t.Fatalf("%s: %d containers", file, len(p.Containers))
			}
			mounted := ""
			for _, mount := range p.Containers[0].VolumeMounts {
				if mount.Path == path.Dir(said[1]) {
					mounted = mount.Name
				}
			}
			optional := false
			for _, v := range p.Volumes {
				optional = optional || v.Name == mounted && v.Secret.Name == "cozeq-keys" && v.Secret.Optional
			}
			if mounted == "" || !optional {
				t.Errorf("%s: no optional secret is mounted at %s", file, path.Dir(said[1]))
			}
		}
	})
}
