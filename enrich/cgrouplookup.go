package enrich

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// fileIDKernfs is the kernel's FILEID_KERNFS: a file handle that is the node's id.
const fileIDKernfs = 0xfe

// lookup asks the kernel for the path of a group: by a file handle made of the id,
// and where that is not allowed, by the groups that the process names.
func (c *cgroups) lookup(id uint64, pid uint32) (string, bool) {
	mount := c.where.V2
	if id&V1Cgroup != 0 {
		mount = c.where.V1
	}
	if mount == "" {
		return "", false
	}
	number := id &^ V1Cgroup
	if path, err := pathOfHandle(mount, number); err == nil {
		return path, true
	}
	for _, path := range c.pathsOf(pid, id&V1Cgroup != 0) {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(mount, path), &st) == nil && st.Ino == number {
			return path, true
		}
	}
	return "", false
}

func pathOfHandle(mount string, number uint64) (string, error) {
	dir, err := unix.Open(mount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	handle := unix.NewFileHandle(fileIDKernfs, binary.NativeEndian.AppendUint64(nil, number))
	group, err := unix.OpenByHandleAt(dir, handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", err
	}
	defer unix.Close(group)
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", group))
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(path, mount)
	if !ok {
		return "", fmt.Errorf("%s is not below %s", path, mount)
	}
	return "/" + strings.TrimPrefix(rest, "/"), nil
}

// pathsOf returns the control groups of a process in v1 hierarchies or in v2.
func (c *cgroups) pathsOf(pid uint32, v1 bool) []string {
	data, err := os.ReadFile(fmt.Sprintf("%s/%d/cgroup", c.proc, pid))
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.SplitSeq(string(data), "\n") {
		number, rest, _ := strings.Cut(line, ":")
		if _, path, ok := strings.Cut(rest, ":"); ok && (number != "0") == v1 && strings.HasPrefix(path, "/") {
			out = append(out, path)
		}
	}
	return out
}

// containerOf finds the container in the text of /proc/<pid>/cgroup: in the chosen
// v1 hierarchy, then in v2, then in any other.
func containerOf(text, controller string) CgroupRef {
	var v2, other CgroupRef
	for line := range strings.SplitSeq(text, "\n") {
		number, rest, _ := strings.Cut(line, ":")
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		ref := ParseCgroup(path)
		switch {
		case ref.ID == "":
		case number == "0":
			v2 = ref
		case controller != "" && slices.Contains(strings.Split(controllers, ","), controller):
			return ref
		case other.ID == "":
			other = ref
		}
	}
	if v2.ID != "" {
		return v2
	}
	return other
}
