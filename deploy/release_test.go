package deploy_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// releaseConfig is as much of .goreleaser.yaml as is held against the rest.
type releaseConfig struct {
	Before struct{ Hooks []string }
	Builds []struct {
		Main, Ldflags string
		Env           []string
		Goos, Goarch  []string
	}
	Archives []struct{ Files []string }
	Checksum struct {
		Name string `yaml:"name_template"`
	}
}

func readRelease(t *testing.T) (c releaseConfig) {
	t.Helper()
	decode(t, "../.goreleaser.yaml", func(d *yaml.Decoder) error { return d.Decode(&c) })
	if len(c.Builds) != 1 || len(c.Archives) != 1 {
		t.Fatalf("%d builds, %d archives, want one of each", len(c.Builds), len(c.Archives))
	}
	return c
}

// TestReleaseConfig holds .goreleaser.yaml against the repository. GoReleaser itself is asked by make release-check:
// a file that is not there is nothing to it but a shorter archive.
func TestReleaseConfig(t *testing.T) {
	c := readRelease(t)
	made := map[string]bool{} // by the hooks, before anything is packed
	for _, hook := range c.Before.Hooks {
		for _, m := range regexp.MustCompile(`go run ./cmd/cozeq (\w+)`).FindAllStringSubmatch(hook, -1) {
			takes(t, ".goreleaser.yaml", m[1:])
		}
		for _, dir := range regexp.MustCompile(`dist-extra/\w+`).FindAllString(hook, -1) {
			made[dir+"/*"] = true
		}
	}
	for _, pattern := range c.Archives[0].Files {
		if names, err := filepath.Glob(filepath.Join("..", pattern)); (err != nil || len(names) == 0) && !made[pattern] {
			t.Errorf("there is no %s", pattern)
		}
	}
	build := c.Builds[0]
	if !slices.Contains(build.Env, "CGO_ENABLED=0") {
		t.Errorf("environment %q: the program is not static", build.Env)
	}
	if !strings.Contains(text(t, "../Makefile"), "-s -w -X main.version=") || !strings.HasPrefix(build.Ldflags, "-s -w -X main.version=") {
		t.Errorf("ldflags %q are not those of make build", build.Ldflags)
	}
	for _, m := range regexp.MustCompile(`(\w+)/(amd64|arm64)\b`).FindAllStringSubmatch(text(t, "../Makefile"), -1) {
		if !slices.Contains(build.Goos, m[1]) || !slices.Contains(build.Goarch, m[2]) {
			t.Errorf("make cross builds for %s, a release does not", m[0])
		}
	}
}

// TestRelease looks into what GoReleaser has made in COZEQ_RELEASE: an archive for each platform with all that belongs
// into it, and the sum of each.
func TestRelease(t *testing.T) {
	dist := os.Getenv("COZEQ_RELEASE")
	if dist == "" {
		t.Skip("looks at a release: make release-check")
	}
	c := readRelease(t)
	sums := text(t, filepath.Join(dist, c.Checksum.Name))
	for _, system := range c.Builds[0].Goos {
		for _, arch := range c.Builds[0].Goarch {
			names, err := filepath.Glob(filepath.Join(dist, "cozeq_*_"+system+"_"+arch+".*"))
			if err != nil || len(names) != 1 {
				t.Errorf("%s/%s: archives %q, want one", system, arch, names)
				continue
			}
			raw, err := os.ReadFile(names[0])
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(raw)
			if line := hex.EncodeToString(sum[:]) + "  " + filepath.Base(names[0]); !strings.Contains(sums, line) {
				t.Errorf("%s has no line %q", c.Checksum.Name, line)
			}
			files, err := unpack(raw)
			if err != nil {
				t.Fatalf("%s: %v", names[0], err)
			}
			for _, want := range []string{"LICENSE", "README.md", "CHANGELOG.md", "dist-extra/man/cozeq.1", "dist-extra/man/cozeq-run.1",
				"dist-extra/completions/cozeq.bash", "dist-extra/completions/cozeq.zsh", "dist-extra/completions/cozeq.fish",
				"dist-extra/completions/cozeq.powershell", "deploy/" + unitFile, "deploy/" + settingsFile} {
				if files[want] == 0 {
					t.Errorf("%s has no %s", names[0], want)
				}
			}
			if files["cozeq"]+files["cozeq.exe"] < 10<<20 {
				t.Errorf("%s has no program", names[0])
			}
			t.Logf("%s: %.1f MB, %d files", filepath.Base(names[0]), float64(len(raw))/1e6, len(files))
		}
	}
}

// unpack lists an archive's files with their sizes.
func unpack(raw []byte) (map[string]int64, error) {
	files := map[string]int64{}
	if z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw))); err == nil {
		for _, f := range z.File {
			files[f.Name] = int64(f.UncompressedSize64)
		}
		return files, nil
	}
	gz, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		files[h.Name] = h.Size
	}
}
