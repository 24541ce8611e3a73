package bpf

import (
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

var objects = map[string]func() (*ebpf.CollectionSpec, error){
	"process":  LoadProcess,
	"cgroup":   LoadCgroup,
	"syscalls": LoadSyscalls,
	"file":     LoadFile,
	"network":  LoadNetwork,
}

// The loader makes one map of each name for all families, so they must mean the
// same by it.
func TestFamiliesAgreeOnSharedMaps(t *testing.T) {
	first := map[string]*ebpf.MapSpec{}
	for name, load := range objects {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range spec.Maps {
			if strings.HasPrefix(m.Name, ".") || strings.HasSuffix(m.Name, "_buffers") {
				continue // each family's own
			}
			seen, ok := first[m.Name]
			if !ok {
				first[m.Name] = m
				continue
			}
			if m.Type != seen.Type || m.KeySize != seen.KeySize || m.ValueSize != seen.ValueSize {
				t.Errorf("%s declares %s as %v, another family as %v", name, m.Name, m, seen)
			}
		}
	}
}

func TestBothArchitecturesHaveTheSamePrograms(t *testing.T) {
	for name := range objects {
		amd64, arm64 := programs(t, name+"_x86_bpfel.o"), programs(t, name+"_arm64_bpfel.o")
		if len(amd64) == 0 || len(amd64) != len(arm64) {
			t.Errorf("%s has %d programs for amd64 and %d for arm64", name, len(amd64), len(arm64))
		}
		for program, section := range amd64 {
			if arm64[program] != section {
				t.Errorf("%s: %s is %q for amd64 and %q for arm64", name, program, section, arm64[program])
			}
		}
	}
}

// programs returns the sections of an object's programs, by name.
func programs(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spec, err := ebpf.LoadCollectionSpecFromReader(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	out := map[string]string{}
	for name, p := range spec.Programs {
		if p.License != "Dual BSD/GPL" {
			t.Errorf("%s: license %q", file, p.License)
		}
		out[name] = p.SectionName
	}
	return out
}
