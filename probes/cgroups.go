package probes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"eunomia/event"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// cgroupV1 marks ids of the v1 hierarchy: ids of the two versions can collide.
const cgroupV1 = uint64(1) << 63

// v1Controllers are the hierarchies that container runtimes always use, best first.
var v1Controllers = []string{"memory", "pids", "cpu", "devices", "freezer"}

// cgroupMode is how this host uses control groups.
type cgroupMode struct {
	V1        string // controller of the v1 hierarchy that names containers; empty on a pure v2 host
	V2        bool
	subsystem uint32 // its index in the kernel's css_set
	hierarchy int
	mounts    []cgroupMount
}

// cgroupMount is where a hierarchy is visible.
type cgroupMount struct {
	dir, root string // the directory shows the hierarchy from root on
	tag       uint64
}

func (m cgroupMode) String() string {
	switch {
	case m.V1 != "" && m.V2:
		return "hybrid, containers by the v1 hierarchy of " + m.V1 + ", then v2"
	case m.V1 != "":
		return "v1, containers by the hierarchy of " + m.V1
	case m.V2:
		return "v2"
	default:
		return "none mounted"
	}
}

// detectCgroups chooses the hierarchies that name a task's container.
func detectCgroups(types *btf.Spec) (cgroupMode, error) {
	var m cgroupMode
	table, err := os.ReadFile("/proc/cgroups")
	if err != nil && !os.IsNotExist(err) { // a kernel without v1 lacks the file
		return m, fmt.Errorf("read cgroup controllers: %w", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return m, fmt.Errorf("read mounts: %w", err)
	}
	hierarchies := parseControllers(string(table))
	found := parseCgroupMounts(string(mounts))
	if v2, ok := found[""]; ok {
		m.V2 = true
		m.mounts = append(m.mounts, v2)
	}
	for _, c := range v1Controllers {
		mount, ok := found[c]
		if !ok || hierarchies[c] == 0 {
			continue
		}
		index, err := subsystemIndex(types, c)
		if err != nil {
			return m, err
		}
		mount.tag = cgroupV1
		m.V1, m.subsystem, m.hierarchy = c, index, hierarchies[c]
		m.mounts = append(m.mounts, mount)
		break
	}
	return m, nil
}

// parseControllers reads /proc/cgroups: hierarchy number by controller, 0 for v2.
func parseControllers(table string) map[string]int {
	out := map[string]int{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		if n, err := strconv.Atoi(f[1]); err == nil {
			out[f[0]] = n
		}
	}
	return out
}

// parseCgroupMounts reads mountinfo: mounts by controller, v2 under "". Of several
// mounts of one hierarchy the one with the widest view counts.
func parseCgroupMounts(info string) map[string]cgroupMount {
	out := map[string]cgroupMount{}
	for line := range strings.Lines(info) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 {
			continue
		}
		mount := cgroupMount{dir: unescapeMount(l[4]), root: unescapeMount(l[3])}
		keep := func(key string) {
			if old, ok := out[key]; !ok || len(mount.root) < len(old.root) {
				out[key] = mount
			}
		}
		switch r[0] {
		case "cgroup2":
			keep("")
		case "cgroup":
			for c := range strings.SplitSeq(r[2], ",") {
				keep(c)
			}
		}
	}
	return out
}

// unescapeMount undoes mountinfo's octal escapes.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// subsystemIndex asks the kernel's BTF: the number depends on its configuration.
func subsystemIndex(types *btf.Spec, controller string) (uint32, error) {
	if types == nil {
		return 0, errors.New("find cgroup controllers: the kernel has no type information")
	}
	var e *btf.Enum
	if err := types.TypeByName("cgroup_subsys_id", &e); err != nil {
		return 0, fmt.Errorf("find cgroup controllers in kernel types: %w", err)
	}
	for _, v := range e.Values {
		if v.Name == controller+"_cgrp_id" {
			return uint32(v.Value), nil
		}
	}
	return 0, fmt.Errorf("find cgroup controller %s in kernel types", controller)
}

// Cgroups lists the control groups that exist now, in the hierarchies whose ids
// events carry. Take it after Open and apply CgroupMake and CgroupRemove events on
// top: a group made meanwhile may come twice, none is missed.
func (s *Sensor) Cgroups() ([]event.CgroupPayload, error) { return s.mode.scan() }

// CgroupMounts returns where the hierarchies are mounted whose ids events carry;
// empty when a version is not in use.
func (s *Sensor) CgroupMounts() (v1, v2 string) {
	for _, m := range s.mode.mounts {
		if m.tag == cgroupV1 {
			v1 = m.dir
		} else {
			v2 = m.dir
		}
	}
	return v1, v2
}

func (m cgroupMode) scan() ([]event.CgroupPayload, error) {
	var out []event.CgroupPayload
	for _, mount := range m.mounts {
		err := filepath.WalkDir(mount.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				if path != mount.dir {
					return nil // removed while we walked
				}
				return err
			}
			if !d.IsDir() {
				return nil
			}
			// kernfs uses its id as inode number.
			var st unix.Stat_t
			if unix.Stat(path, &st) != nil {
				return nil
			}
			name := filepath.Join("/", mount.root, strings.TrimPrefix(path, mount.dir))
			out = append(out, event.CgroupPayload{ID: st.Ino | mount.tag, Path: name})
			return nil
		})
		if err != nil {
			return out, fmt.Errorf("list control groups: %w", err)
		}
	}
	return out, nil
}
