package deploy_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestDemoBuild: make demo is two plain lines, and compiles no gRPC, of which it could show nothing.
func TestDemoBuild(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	recipe := regexp.MustCompile(`(?m)^demo:.*\n((?:\t.*\n)+)`).FindSubmatch(makefile)
	if recipe == nil || strings.Count(string(recipe[1]), "\n") != 2 {
		t.Fatalf("the recipe of make demo: %q", recipe)
	}
	tags := regexp.MustCompile(`(?m)^\t.*\$\(QUICK\) -tags (\S+) `).FindSubmatch(makefile)
	if tags == nil {
		t.Fatal("make demo builds with no tags")
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-tags", string(tags[1]), "-deps", "../cmd/cozeq")
	list.Stderr = os.Stderr
	deps, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	if heavy := regexp.MustCompile(`google\.golang\.org/grpc\S*|\S*grpc-gateway\S*`).FindString(string(deps)); heavy != "" {
		t.Errorf("the demo's build needs %s", heavy)
	}
}
