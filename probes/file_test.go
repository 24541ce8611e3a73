package probes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"eunomia/event"
	"eunomia/internal/testutil"

	"golang.org/x/sys/unix"
)

// actChroot opens a file below a new root, which its argument names.
func actChroot() {
	if err := unix.Chroot(os.Args[1]); err != nil {
		panic(err)
	}
	if err := unix.Chdir("/"); err != nil {
		panic(err)
	}
	if _, err := os.ReadFile("etc/inside"); err != nil {
		panic(err)
	}
}

// opened returns the first open of this process with that path.
func (w *watcher) opened(t *testing.T, action, path string) *event.Event {
	t.Helper()
	return w.expect(t, action+" of "+path, func(e *event.Event) bool {
		return is(event.Open, os.Getpid())(e) && e.Action == action && e.File.Path == path
	})
}

// sameFile compares an event with what fstat tells of its descriptor.
func sameFile(t *testing.T, e *event.Event, fd int) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	link, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	equal(t, "path", e.File.Path, strings.TrimSuffix(link, " (deleted)"))
	equal(t, "deleted", e.File.Deleted, strings.HasSuffix(link, " (deleted)"))
	equal(t, "fd", e.File.FD, int32(fd))
	equal(t, "return", e.Return, int64(fd))
	equal(t, "inode", e.File.Inode, st.Ino)
	equal(t, "device", e.File.Device, unix.Major(st.Dev)<<20|unix.Minor(st.Dev))
	equal(t, "mode", e.File.Mode, st.Mode&0o7777)
	equal(t, "type", e.File.Type, fileType(st.Mode))
	equal(t, "uid", e.File.UID, st.Uid)
	equal(t, "gid", e.File.GID, st.Gid)
	equal(t, "links", uint64(e.File.Links), uint64(st.Nlink)) //nolint:unconvert // 32 bits on arm64
	equal(t, "truncated", e.File.Truncated, false)
	equal(t, "provenance", e.Provenance, event.ProvenanceKernel)
	equal(t, "tid", e.Task.PID, uint32(os.Getpid()))
	equal(t, "self", e.Flags&event.FlagSelf != 0, hostPID() != 0)
}

func TestEveryCallThatOpensIsAnOpen(t *testing.T) {
	for _, direct := range []bool{true, false} {
		t.Run(fmt.Sprintf("direct reads %v", direct), func(t *testing.T) {
			w := watch(t, Options{Kinds: event.SetOf(event.Open), NoDirectReads: !direct})
			dir := t.TempDir()
			dirFD, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(dirFD)
			for _, test := range openCalls(dirFD, dir) {
				t.Run(test.name, func(t *testing.T) {
					fd, err := test.open()
					if err != nil {
						t.Fatalf("%s: %v", test.action, err)
					}
					defer unix.Close(fd)
					e := w.opened(t, test.action, test.path)
					sameFile(t, e, fd)
					equal(t, "flags", e.File.Open, test.flags)
					equal(t, "created", e.File.Created, test.created)
				})
			}
		})
	}
}

type openCall struct {
	name, action, path string
	open               func() (int, error)
	flags              event.OpenFlags
	created            bool
}

func openCalls(dirFD int, dir string) []openCall {
	file := func(name string) string { return filepath.Join(dir, name) }
	return []openCall{
		{"create", "openat", file("a"), func() (int, error) {
			return unix.Openat(unix.AT_FDCWD, file("a"), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o640)
		}, event.OpenCreate | event.OpenExclusive | event.OpenWrite, true},
		{"open", "open", file("a"), func() (int, error) { return rawOpen(file("a"), unix.O_RDWR|unix.O_APPEND|unix.O_TRUNC) },
			event.OpenRead | event.OpenWrite | event.OpenAppend | event.OpenTruncate, false},
		{"creat", "creat", file("b"), func() (int, error) { return rawCreat(file("b")) },
			event.OpenCreate | event.OpenWrite | event.OpenTruncate, true},
		{"openat2 below a descriptor", "openat2", file("c"), func() (int, error) {
			return unix.Openat2(dirFD, "c", &unix.OpenHow{Flags: unix.O_CREAT | unix.O_RDWR, Mode: 0o600})
		}, event.OpenCreate | event.OpenRead | event.OpenWrite, true},
		{"open_by_handle_at", "open_by_handle_at", file("c"), func() (int, error) {
			handle, _, err := unix.NameToHandleAt(dirFD, "c", 0)
			if err != nil {
				return -1, err
			}
			mount, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0) // a reference such as dirFD is not enough
			if err != nil {
				return -1, err
			}
			defer unix.Close(mount)
			return unix.OpenByHandleAt(mount, handle, unix.O_RDONLY)
		}, event.OpenRead, false},
		{"through a symbolic link", "openat", file("c"), func() (int, error) {
			if err := os.Symlink(file("c"), file("link")); err != nil && !os.IsExist(err) {
				return -1, err
			}
			return unix.Openat(unix.AT_FDCWD, file("link"), unix.O_RDONLY|unix.O_NOCTTY, 0)
		}, event.OpenRead, false},
		{"reference only", "openat", "/", func() (int, error) {
			return unix.Openat(unix.AT_FDCWD, "/", unix.O_PATH|unix.O_DIRECTORY, 0)
		}, event.OpenPath | event.OpenDirectory, false},
		{"proc", "openat", "/proc/sys/kernel/ostype", func() (int, error) {
			return unix.Openat(unix.AT_FDCWD, "/proc/sys/kernel/ostype", unix.O_RDONLY, 0)
		}, event.OpenRead, false},
	}
}

func TestDeepPath(t *testing.T) {
	w := watch(t, Options{Kinds: event.SetOf(event.Open)})
	for _, depth := range []int{100, 240, 300} {
		t.Run(fmt.Sprint(depth), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), strings.Repeat("d/", depth))
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("leaf-%d", depth)
			path = filepath.Join(path, name)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			e := w.expect(t, "open", func(e *event.Event) bool { return strings.HasSuffix(e.File.Path, name) })
			if depth < 250 {
				equal(t, "path", e.File.Path, path)
			} else if !strings.HasSuffix(path, e.File.Path) {
				t.Errorf("path %q is no tail of %q", e.File.Path, path)
			}
			equal(t, "truncated", e.File.Truncated, depth > 250)
			equal(t, "begins at the root", strings.HasPrefix(e.File.Path, "/"), depth <= 250)
		})
	}
}

func TestDeletedFile(t *testing.T) {
	w := watch(t, Options{Kinds: event.SetOf(event.Open)})
	path := filepath.Join(t.TempDir(), "gone")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	e := w.expect(t, "open", func(e *event.Event) bool {
		return is(event.Open, os.Getpid())(e) && e.File.Path == path && !e.File.Created
	})
	sameFile(t, e, fd)
}

func TestFailedOpenTellsWhatWasAskedFor(t *testing.T) {
	w := watch(t, Options{Kinds: event.SetOf(event.Open)})
	dir := t.TempDir()
	t.Chdir(dir)
	dirFD, err := unix.Open("/etc", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dirFD)
	for _, test := range []struct {
		name, asked, path string
		base              int
		errno             unix.Errno
	}{
		{"absolute", "/nowhere/at/all", "/nowhere/at/all", unix.AT_FDCWD, unix.ENOENT},
		{"relative", "missing", filepath.Join(dir, "missing"), unix.AT_FDCWD, unix.ENOENT},
		{"below a descriptor", "./x/../missing", "/etc/missing", dirFD, unix.ENOENT},
		{"too long", "/" + strings.Repeat("n", 300), "/" + strings.Repeat("n", 300), unix.AT_FDCWD, unix.ENAMETOOLONG},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := unix.Openat(test.base, test.asked, unix.O_RDWR, 0); err != test.errno { //nolint:errorlint // an Errno as it comes
				t.Fatalf("openat: %v, want %v", err, test.errno)
			}
			e := w.opened(t, "openat", test.path)
			equal(t, "return", e.Return, -int64(test.errno))
			equal(t, "provenance", e.Provenance, event.ProvenanceUser)
			equal(t, "flags", e.File.Open, event.OpenRead|event.OpenWrite)
			equal(t, "type", e.File.Type, event.FileUnknown)
			equal(t, "fd", e.File.FD, -1)
			equal(t, "unreadable", e.Flags&event.FlagUnreadable, 0)
		})
	}
	t.Run("unreadable", func(t *testing.T) {
		_, _, errno := unix.Syscall6(unix.SYS_OPENAT, ^uintptr(99), 1, 0, 0, 0, 0)
		equal(t, "errno", errno, unix.EFAULT)
		e := w.expect(t, "open", func(e *event.Event) bool { return e.Return == -int64(unix.EFAULT) })
		equal(t, "unreadable", e.Flags&event.FlagUnreadable, event.FlagUnreadable)
	})
}

func TestPathIsSeenFromTheProcessesRoot(t *testing.T) {
	w := watch(t, Options{Kinds: event.SetOf(event.Open, event.Exec)})
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/inside"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := actor(t, "chroot")
	cmd.Args = append(cmd.Args, root)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	w.expect(t, "open", func(e *event.Event) bool {
		return is(event.Open, cmd.Process.Pid)(e) && e.File.Path == "/etc/inside" && e.Return >= 0
	})
}

func TestPathThroughABindMount(t *testing.T) {
	w := watch(t, Options{Kinds: event.SetOf(event.Open)})
	source, target := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "bound"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(target, unix.MNT_DETACH) }()
	path := filepath.Join(target, "bound")
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	sameFile(t, w.opened(t, "openat", path), fd)
}

func TestOverlayLayers(t *testing.T) {
	w := watch(t, Options{Kinds: event.SetOf(event.Open)})
	base := t.TempDir()
	if err := unix.Mount("tmpfs", base, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(base, unix.MNT_DETACH) }()
	for _, dir := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"kept", "changed"} {
		if err := os.WriteFile(filepath.Join(base, "lower", name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	merged := filepath.Join(base, "merged")
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", base)
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		testutil.Missing(t, "bpf", err)
	}
	defer func() { _ = unix.Unmount(merged, unix.MNT_DETACH) }()
	if err := os.WriteFile(filepath.Join(merged, "dropped"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(merged, "changed"), []byte("y"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, upper := range map[string]bool{"kept": false, "changed": false, "dropped": true} {
		path := filepath.Join(merged, name)
		if _, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		e := w.expect(t, "read of "+name, func(e *event.Event) bool {
			return e.File.Path == path && e.File.Open == event.OpenRead
		})
		equal(t, name+" only on the upper layer", e.File.UpperLayer, upper)
		equal(t, name+" copied up", e.File.CopiedUp, name == "changed")
		equal(t, "filesystem", e.File.Filesystem, "overlay")
	}
}

// rawOpen and rawCreat make the calls that libraries no longer make.
func rawOpen(path string, flags int) (int, error) { return oldCall(2, path, flags) }
func rawCreat(path string) (int, error)           { return oldCall(85, path, 0o600) }

func oldCall(number uintptr, path string, arg int) (int, error) {
	if nativeCalls[2] != "open" {
		return -1, unix.ENOSYS // arm64 has neither
	}
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	fd, _, errno := unix.Syscall(number, uintptr(unsafe.Pointer(p)), uintptr(arg), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
