package enrich

import (
	"bytes"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"eunomia/event"
)

// program reads what the process runs.
func (r *procReader) program(dir int, s *scanned) {
	i := &s.image
	i.Name = s.comm
	if s.flags&kernelThread != 0 {
		return
	}
	n := readInto(dir, "cmdline", r.buf[:maxArgs+1])
	if n > maxArgs {
		n, i.ArgsTruncated = maxArgs, true
	}
	argv := bytes.TrimRight(r.buf[:n], "\x00") // a process that rewrites its title leaves many
	if len(argv) > 0 {
		setArgs(i, strings.Split(string(argv), "\x00"))
	}
	i.WorkingDirectory = r.link(dir, "cwd")
	exe := r.link(dir, "exe")
	i.Exe.Memfd = strings.HasPrefix(exe, "/memfd:")
	exe, i.Exe.Deleted = strings.CutSuffix(exe, " (deleted)")
	i.Executable = exe
	if st, err := statQuietly(dir, "exe"); err == nil {
		i.Exe.Inode, i.Exe.Device = st.Ino, st.Dev_major<<20|st.Dev_minor
		i.Exe.Mode, i.Exe.UID, i.Exe.GID, i.Exe.Links = uint32(st.Mode)&0o7777, st.Uid, st.Gid, st.Nlink
		i.Exe.Mtime, i.Exe.Ctime = st.Mtime.Sec, st.Ctime.Sec
		i.Exe.Deleted = i.Exe.Deleted && st.Nlink == 0
	}
	i.Name = fullName(s.comm, exe, i.Args)
}

// fullName lengthens comm, which the kernel cuts to 15 bytes, to the name that it is
// the head of.
func fullName(comm, exe string, args []string) string {
	if len(comm) != 15 {
		return comm
	}
	for _, candidate := range append([]string{exe}, args[:min(2, len(args))]...) { // argv[1]: a script
		if base := path.Base(candidate); strings.HasPrefix(base, comm) {
			return base
		}
	}
	return comm
}

func (r *procReader) streams(dir int, s *scanned) {
	for fd, to := range []*event.Stream{&s.process.Stdin, &s.process.Stdout, &s.process.Stderr} {
		name := "fd/" + strconv.Itoa(fd)
		st, err := statQuietly(dir, name)
		switch {
		case err == unix.ENOENT: //nolint:errorlint // an errno of our own call, not wrapped
			to.Type = event.StreamClosed
		case err != nil:
			to.Type = event.StreamUnknown
		default:
			to.Type = streamType(st)
		}
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			s.sockets[fd] = bracketed(r.link(dir, name))
		}
	}
}

func streamType(st unix.Statx_t) event.StreamType {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR:
		return event.StreamFile
	case unix.S_IFIFO:
		return event.StreamPipe
	case unix.S_IFCHR:
		if isTTY(st.Rdev_major) {
			return event.StreamTTY
		}
		return event.StreamDevice
	case unix.S_IFBLK:
		return event.StreamDevice
	}
	return event.StreamOther // sockets until their table is read, anonymous inodes
}
