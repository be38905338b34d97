package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	unitFile     = "systemd/cozeq-worker.service"
	settingsFile = "systemd/cozeq-worker.env"
)

func text(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestSystemd holds the unit against the program, and against systemd's own checker where there is one.
func TestSystemd(t *testing.T) {
	unit := text(t, unitFile)
	value := func(key string) string {
		m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(unit)
		if m == nil {
			t.Fatalf("%s has no %s", unitFile, key)
		}
		return m[1]
	}
	start := strings.Fields(value("ExecStart"))
	takes(t, unitFile, start[1:])
	drain, err := time.ParseDuration(start[len(start)-1])
	if err != nil {
		t.Fatal(err)
	}
	if stop, err := strconv.Atoi(value("TimeoutStopSec")); err != nil || time.Duration(stop)*time.Second < drain+20*time.Second {
		t.Errorf("TimeoutStopSec=%s for a drain of %v", value("TimeoutStopSec"), drain)
	}
	for _, key := range []string{"DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="} {
		if !strings.Contains(unit, "\n"+key+"\n") {
			t.Errorf("%s has no %s", unitFile, key)
		}
	}

	// What is to be installed is there, and goes to where the unit looks for it.
	for _, page := range []string{unit, text(t, "../docs/deploy.md")} {
		installs := regexp.MustCompile(`install (?:-D )?-m \d+ (deploy/\S+) (\S+)`).FindAllStringSubmatch(page, -1)
		if len(installs) != 2 {
			t.Errorf("%d files to install, want the unit and its settings", len(installs))
		}
		for _, m := range installs {
			if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
				t.Errorf("%s: %v", m[1], err)
			}
			if m[1] == "deploy/"+settingsFile && m[2] != value("EnvironmentFile") {
				t.Errorf("%s goes to %s, the unit reads %s", m[1], m[2], value("EnvironmentFile"))
			}
		}
	}
	help, err := exec.CommandContext(t.Context(), program(t), "help", "environment").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z]\w+)=`).FindAllStringSubmatch(text(t, settingsFile), -1) {
		if !regexp.MustCompile(`(?m)^ *` + m[1] + `\b`).Match(help) {
			t.Errorf("%s: cozeq knows no %s", settingsFile, m[1])
		}
	}

	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("no systemd-analyze here: systemd has not read the unit itself")
		return
	}
	// It wants the program to be there; on this machine it is elsewhere.
	copied := filepath.Join(t.TempDir(), filepath.Base(unitFile))
	if err := os.WriteFile(copied, []byte(strings.Replace(unit, "ExecStart="+start[0], "ExecStart="+program(t), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", copied).CombinedOutput(); err != nil || strings.Contains(string(out), filepath.Base(copied)) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
