package testutil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// requirements are the conditions of the machine that a test can ask for; each says why it is not met.
var requirements = map[string]func() error{
	"root":   haveRoot,
	"bpf":    haveBPF,
	"docker": sync.OnceValue(haveDocker),
	"clang":  haveClang,
}

// Require skips the test with a reason unless the machine has all of needs: "root", "bpf" (root and the kernel's BTF),
// "docker" (a daemon that answers), "clang" (with llvm-strip). Where EUNOMIA_REQUIRE, a comma-separated list, names the
// missing one, the test fails instead.
func Require(t testing.TB, needs ...string) {
	t.Helper()
	for _, need := range needs {
		check, ok := requirements[need]
		if !ok {
			t.Fatalf("Require(%q): no such requirement; add it to requirements", need)
		}
		if err := check(); err != nil {
			Missing(t, need, err)
		}
	}
}

// Missing skips a test that found only while running that the machine lacks something,
// as Require does: where EUNOMIA_REQUIRE names the need, that is a failure.
func Missing(t testing.TB, need string, err error) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("EUNOMIA_REQUIRE"), ","), need) {
		t.Fatalf("EUNOMIA_REQUIRE names %s: %v", need, err)
	}
	t.Skipf("needs %s: %v", need, err)
}

func haveRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("not root")
	}
	return nil
}

func haveBPF() error {
	if err := haveRoot(); err != nil {
		return err
	}
	f, err := os.Open("/sys/kernel/btf/vmlinux")
	if err != nil {
		return fmt.Errorf("the kernel offers no BTF: %w", err)
	}
	return f.Close()
}

func haveDocker() error {
	docker, err := newDocker()
	if err != nil {
		return err
	}
	defer docker.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = docker.Ping(ctx)
	return err
}

func haveClang() error {
	for _, tool := range []string{"clang", "llvm-strip"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	return nil
}
