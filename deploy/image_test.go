package deploy_test

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// maxProgram bounds the program: besides it the image holds the certificates, 230 kB, and is to stay below 43.3 MB. The HTTP
// API took 2 MB of them, Parquet and --on-result 0.5, workflows and tools the rest of the last one.
const maxProgram = 43_000_000

var (
	built   sync.Once
	binary  string
	failure error
)

// program is cozeq, built the short way.
func program(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "cozeq-image-")
		if err != nil {
			failure = err
			return
		}
		binary = filepath.Join(dir, "cozeq")
		build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "../cmd/cozeq")
		build.Stderr = os.Stderr
		failure = build.Run()
	})
	if failure != nil {
		t.Fatal(failure)
	}
	return binary
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary != "" {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// TestImage does without Docker what the image would: the program alone, as it is
// built for the image, in a file system that has nothing else, as a user who is nobody
// and may write nowhere.
func TestImage(t *testing.T) {
	if os.Getenv("COZEQ_IMAGE") == "" {
		t.Skip("builds everything once more: make image-check")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the image is of Linux")
	}
	path := filepath.Join(t.TempDir(), "cozeq")
	if out, err := exec.CommandContext(t.Context(), "sh", "build-image.sh", path, "test").CombinedOutput(); err != nil {
		t.Fatalf("build-image.sh: %v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program has %.1f MB", float64(info.Size())/1e6)
	if info.Size() > maxProgram {
		t.Errorf("the program has %d bytes, want at most %d", info.Size(), maxProgram)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the program is linked against %q, %v: the image has no libraries", libraries, err)
	}

	if os.Geteuid() != 0 {
		t.Skip("only root can change the root of the file system: the program was not run in one of its own")
	}
	root := t.TempDir()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "cozeq"), raw, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"version"}, {"run", "--demo"}} {
		cmd := exec.CommandContext(t.Context(), "/cozeq", args...)
		cmd.Env, cmd.Dir = []string{}, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Skip("this root may not change the root of the file system: the program was not run in one of its own")
		}
		if err != nil {
			t.Errorf("cozeq %s in an empty image: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
