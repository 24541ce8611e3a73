package enrich

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of what is read of passwd and group files.
const (
	maxHostNames      = 16 << 20 // bytes of the host's files
	maxContainerNames = 1 << 20  // of a container's, which the container may have written
	maxHostEntries    = 100_000
	maxEntries        = 4096    // names kept of a container's file
	maxHeld           = 1 << 17 // names kept of all containers' files
	maxName           = 64      // bytes of a name
)

// names translates ids to names. Immutable once published.
type names struct {
	users, groups map[uint32]string
	uids, gids    []idRange // of the container's user namespace; nil when ids are the host's
}

// idRange is a line of /proc/<pid>/uid_map: ids of the namespace and of the host.
type idRange struct{ inside, outside, length uint32 }

func (n *names) size() int64 { return int64(len(n.users) + len(n.groups)) }

func (n *names) user(id uint32) string  { return nameOf(n.users, n.uids, id) }
func (n *names) group(id uint32) string { return nameOf(n.groups, n.gids, id) }

func nameOf(table map[uint32]string, ranges []idRange, id uint32) string {
	if ranges == nil {
		return table[id]
	}
	for _, r := range ranges {
		if id >= r.outside && id-r.outside < r.length {
			return table[r.inside+id-r.outside]
		}
	}
	return ""
}

// rootOnly stands for the files of a container that have not been read yet.
var rootOnly = &names{users: map[uint32]string{0: "root"}, groups: map[uint32]string{0: "root"}}

// parseNames reads name:x:id lines, of passwd or group; the first name of an id
// counts, as in getpwuid. Lines that are not of this form are skipped.
func parseNames(data []byte, limit int) map[uint32]string {
	table := make(map[uint32]string)
	for line := range bytes.Lines(data) {
		name, rest, ok1 := bytes.Cut(line, []byte{':'})
		_, rest, ok2 := bytes.Cut(rest, []byte{':'})
		number, _, _ := bytes.Cut(rest, []byte{':'})
		if !ok1 || !ok2 || len(name) == 0 || len(name) > maxName || name[0] == '#' || name[0] == '+' || name[0] == '-' {
			continue
		}
		id, err := strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 32)
		if err != nil {
			continue
		}
		if _, have := table[uint32(id)]; !have {
			if len(table) >= limit {
				break
			}
			table[uint32(id)] = string(name)
		}
	}
	return table
}

// hostNames reads the host's files and notices when they change.
type hostNames struct {
	root string
	seen [2]fileVersion
}

type fileVersion struct {
	inode      uint64
	size       int64
	sec, nanos int64
}

// changed reads both files when either differs from the last time.
func (h *hostNames) changed() (*names, bool) {
	var now [2]fileVersion
	files := [2]string{h.root + "/etc/passwd", h.root + "/etc/group"}
	for i, file := range files {
		var st unix.Stat_t
		if unix.Stat(file, &st) == nil {
			now[i] = fileVersion{st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec}
		}
	}
	if now == h.seen {
		return nil, false
	}
	h.seen = now
	read := func(file string) map[uint32]string {
		data, err := readRegular(unix.AT_FDCWD, file, maxHostNames, &unix.OpenHow{})
		if err != nil { // a host without the file has no names
			return nil
		}
		return parseNames(data, maxHostEntries)
	}
	return &names{users: read(files[0]), groups: read(files[1])}, true
}

// readRegular reads a regular file of at most limit bytes. It neither blocks on a
// FIFO nor opens a device.
func readRegular(dir int, name string, limit int64, how *unix.OpenHow) ([]byte, error) {
	how.Flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY
	fd, err := openRegular(dir, name, how)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("read %s: %d bytes, more than %d", name, st.Size(), limit)
	}
	data := make([]byte, st.Size())
	n, err := unix.Pread(fd, data, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data[:n], nil
}

// openRegular looks at the file by O_PATH first, which opens nothing, and only then
// opens that same file.
func openRegular(dir int, name string, how *unix.OpenHow) (int, error) {
	look := *how
	look.Flags = unix.O_PATH | unix.O_CLOEXEC
	path, err := unix.Openat2(dir, name, &look)
	if err != nil {
		return -1, err
	}
	defer unix.Close(path)
	var st unix.Stat_t
	if err := unix.Fstat(path, &st); err != nil {
		return -1, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return -1, fmt.Errorf("not a regular file: mode %o", st.Mode&unix.S_IFMT)
	}
	return unix.Open("/proc/self/fd/"+strconv.Itoa(path), int(how.Flags), 0)
}

// parseIDMap reads /proc/<pid>/uid_map; nil for the identity.
func parseIDMap(text string) []idRange {
	var out []idRange
	for line := range strings.Lines(text) {
		var r idRange
		if n, err := fmt.Sscan(line, &r.inside, &r.outside, &r.length); n != 3 || err != nil {
			continue
		}
		if r.inside == r.outside && r.length == 1<<32-1 {
			return nil
		}
		if out = append(out, r); len(out) == 340 { // the kernel's own bound
			break
		}
	}
	return out
}
