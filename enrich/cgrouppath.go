package enrich

import (
	"strings"
)

// CgroupRef is what a control group's path tells of the container it belongs to;
// the zero value means none.
type CgroupRef struct {
	ID      string
	Runtime string // docker, containerd, cri-o, podman, …; empty when the path does not tell
	PodUID  string
	// Within is empty for a container that the host's own runtime can have made.
	// Else it names who could have chosen the group's name: an enclosing container,
	// or a user's service manager. Such a name proves nothing about the container of
	// the same id that the host's runtime knows.
	Within string
}

// key identifies the container: equal ids with different makers are not the same.
func (r CgroupRef) key() string {
	if r.Within == "" {
		return r.ID
	}
	return r.Within + "/" + r.ID
}

// clone returns a reference that does not share the memory of the path, which is that
// of a record.
func (r CgroupRef) clone() CgroupRef {
	r.ID, r.PodUID, r.Within = strings.Clone(r.ID), strings.Clone(r.PodUID), strings.Clone(r.Within)
	return r
}

// scopes maps the prefix that a runtime gives to its control groups
// (<prefix>-<id>, with or without .scope) to the runtime's name. To add a runtime
// that names its groups this way, add a row.
var scopes = map[string]string{
	"docker":         "docker",
	"cri-containerd": "containerd",
	"containerd":     "containerd",
	"nerdctl":        "containerd",
	"crio":           "cri-o",
	"libpod":         "podman",
}

// parents maps the directory that holds groups named by a bare id to the runtime.
var parents = map[string]string{
	"docker":      "docker",
	"actions_job": "docker",
	"moby":        "docker",
	"k8s.io":      "containerd",
	"default":     "containerd",
	"buildkit":    "buildkit",
	"garden":      "garden",
	"lxc":         "lxc",
	"lxc.payload": "lxc",
}

// notContainers are parents whose bare ids are pods or helpers on the host.
var notContainers = map[string]bool{"libpod_parent": true, "kata_overhead": true, "conmon": true}

// maxDepth bounds the components that are looked at; the kernel's own limit for
// nesting is far lower in practice.
const maxDepth = 64

// ParseCgroup finds the innermost container in a control group's path, of cgroup
// v1 or v2, as the systemd and cgroupfs drivers of the runtimes write it. Any
// string is safe: who may create groups may choose their names.
func ParseCgroup(path string) CgroupRef {
	var found CgroupRef
	var previous, manager, pod string
	for range maxDepth {
		path = strings.TrimLeft(path, "/")
		if path == "" {
			break
		}
		var name string
		name, path, _ = strings.Cut(path, "/")
		if strings.HasPrefix(name, "user@") && strings.HasSuffix(name, ".service") {
			manager = clip(name)
		}
		if uid := podUID(name); uid != "" {
			pod = uid
		}
		if id, runtime := containerIn(name, previous); id != "" && id != found.ID {
			within := manager
			if found.ID != "" {
				within = found.key()
				if len(within) > 256 { // a chain of fakes
					within = within[:256]
				}
			}
			found = CgroupRef{ID: id, Runtime: runtime, PodUID: pod, Within: within}
			pod = ""
		}
		previous = name
	}
	return found
}

// containerIn tests one component of a path.
func containerIn(name, previous string) (id, runtime string) {
	if strings.Contains(name, "conmon") { // crio-conmon-<id>.scope: the monitor, on the host
		return "", ""
	}
	base := strings.TrimSuffix(name, ".scope")
	if i := strings.LastIndexByte(base, ':'); i >= 0 { // slice:cri-containerd:<id>
		if id := base[i+1:]; isHex(id, 64) {
			_, prefix, _ := cutLast(base[:i], ':')
			return id, scopes[prefix]
		}
		return "", ""
	}
	if isHex(base, 64) {
		if notContainers[previous] {
			return "", ""
		}
		return base, parents[previous]
	}
	if prefix, id, ok := cutLast(base, '-'); ok && isHex(id, 64) {
		return id, scopes[prefix]
	}
	return namedContainer(name, previous)
}

// namedContainer knows the runtimes whose ids are not 64 hexadecimal digits.
func namedContainer(name, previous string) (id, runtime string) {
	switch {
	case previous == "buildkit" && len(name) == 25 && isName(name):
		return name, "buildkit"
	case previous == "garden" && len(name) >= 11 && isName(name):
		return name, "garden"
	case previous == "lxc" || previous == "lxc.payload":
		if isName(name) {
			return name, "lxc"
		}
	case strings.HasPrefix(name, "lxc.payload."):
		if id := name[len("lxc.payload."):]; isName(id) {
			return id, "lxc"
		}
	case strings.HasPrefix(name, "systemd-nspawn@") && strings.HasSuffix(name, ".service"):
		if id := name[len("systemd-nspawn@") : len(name)-len(".service")]; isName(id) {
			return id, "systemd-nspawn"
		}
	case previous == "machine.slice" && strings.HasPrefix(name, "machine-") && strings.HasSuffix(name, ".scope"):
		id := name[len("machine-") : len(name)-len(".scope")]
		if isName(id) && !strings.HasPrefix(id, "qemu") && !strings.HasPrefix(id, "libvirt") {
			return id, "systemd-nspawn"
		}
	default: // ECS on Fargate: /ecs/<task>/<task>-<number>
		if task, number, ok := strings.Cut(name, "-"); ok && isHex(task, 32) && isDigits(number) && (previous == task || previous == "ecs") {
			return name, "ecs"
		}
	}
	return "", ""
}

// podUID finds a Kubernetes pod's uid in kubepods-burstable-pod<uid>.slice or
// pod<uid>: a UUID, written with "_" by the systemd driver, or the 32 digits of a
// static pod.
func podUID(name string) string {
	name, _, _ = strings.Cut(name, ":")
	name = strings.TrimSuffix(name, ".slice")
	i := strings.LastIndex(name, "pod")
	if i < 0 || i > 0 && name[i-1] != '-' {
		return ""
	}
	uid := name[i+len("pod"):]
	if isHex(uid, 32) {
		return uid
	}
	if len(uid) != 36 {
		return ""
	}
	for n, c := range []byte(uid) {
		if n == 8 || n == 13 || n == 18 || n == 23 {
			if c != '-' && c != '_' {
				return ""
			}
		} else if !isHexDigit(c) {
			return ""
		}
	}
	return strings.ReplaceAll(uid, "_", "-")
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}

func clip(s string) string { return s[:min(len(s), 64)] }

func isHexDigit(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range n {
		if !isHexDigit(s[i]) {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 20
}

func isName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 64
}
