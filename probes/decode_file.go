package probes

import (
	"path"
	"strings"

	"eunomia/bpf"
	"eunomia/event"

	"golang.org/x/sys/unix"
)

const (
	fileUpper   = uint8(bpf.ProcessFileFlagFILE_UPPER)
	fileLower   = uint8(bpf.ProcessFileFlagFILE_LOWER)
	fileMemfd   = uint8(bpf.ProcessFileFlagFILE_MEMFD)
	fileCreated = uint8(bpf.ProcessFileFlagFILE_CREATED)

	pathTruncated = uint8(bpf.ProcessPathFlagPATH_TRUNCATED)
	pathUnreached = uint8(bpf.ProcessPathFlagPATH_UNREACHED)
	pathDeleted   = uint8(bpf.ProcessPathFlagPATH_DELETED)
	pathFault     = uint8(bpf.ProcessPathFlagPATH_FAULT)
)

func decodeOpen(record []byte, t *tail, e *event.Event) {
	r := view[bpf.FileRecordOpen](record)
	f := &r.File
	e.File = event.File{
		Path:       walked(t.string(r.PathLength), f.PathFlags),
		Open:       openFlags(r.Flags),
		OpenMode:   r.Mode,
		Created:    f.Flags&fileCreated != 0,
		Type:       fileType(f.Mode),
		Mode:       f.Mode & 0o7777,
		UID:        f.Uid,
		GID:        f.Gid,
		Inode:      f.Inode,
		Device:     f.Device,
		Links:      f.Links,
		Filesystem: cString(f.Filesystem[:]),
		UpperLayer: f.Flags&(fileUpper|fileLower) == fileUpper,
		CopiedUp:   f.Flags&(fileUpper|fileLower) == fileUpper|fileLower,
		Truncated:  f.PathFlags&(pathTruncated|pathFault) != 0,
		Unreached:  f.PathFlags&pathUnreached != 0,
		FD:         max(r.Fd, -1),
	}
	if f.Inode == 0 {
		// The path as asked for: "..", "." and doubled slashes are the caller's.
		e.File.Path = tidy(e.File.Path)
		return
	}
	e.File.Deleted = f.Links == 0 || f.PathFlags&pathDeleted != 0
}

// walked returns a path that lost its head without the slash in front: else whoever
// chooses the names of deep directories could make it begin with /usr/bin.
func walked(p string, flags uint8) string {
	if flags&pathTruncated != 0 {
		return strings.TrimPrefix(p, "/")
	}
	return p
}

// tidy cleans a path lexically; it allocates only where there is something to clean.
func tidy(p string) string {
	if !strings.Contains(p, "//") && !strings.Contains(p, "/.") && (len(p) <= 1 || !strings.HasSuffix(p, "/")) {
		return p
	}
	return path.Clean(p)
}

var openFlagBits = []struct {
	bits uint32
	flag event.OpenFlags
}{
	{unix.O_CREAT, event.OpenCreate},
	{unix.O_EXCL, event.OpenExclusive},
	{unix.O_TRUNC, event.OpenTruncate},
	{unix.O_APPEND, event.OpenAppend},
	{unix.O_DIRECTORY, event.OpenDirectory},
	{unix.O_NOFOLLOW, event.OpenNoFollow},
	{unix.O_PATH, event.OpenPath},
	{unix.O_TMPFILE, event.OpenTmpfile},
}

func openFlags(bits uint32) event.OpenFlags {
	var flags event.OpenFlags
	switch bits & unix.O_ACCMODE {
	case unix.O_RDONLY:
		flags = event.OpenRead
	case unix.O_WRONLY:
		flags = event.OpenWrite
	case unix.O_RDWR:
		flags = event.OpenRead | event.OpenWrite
	}
	for _, row := range openFlagBits {
		if bits&row.bits == row.bits {
			flags |= row.flag
		}
	}
	switch {
	case flags&event.OpenPath != 0:
		flags &^= event.OpenRead | event.OpenWrite // grants neither
	case flags&event.OpenTmpfile != 0:
		flags &^= event.OpenDirectory // part of O_TMPFILE's bits
	}
	return flags
}

func fileType(mode uint32) event.FileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return event.FileRegular
	case unix.S_IFDIR:
		return event.FileDirectory
	case unix.S_IFLNK:
		return event.FileSymlink
	case unix.S_IFIFO:
		return event.FileFIFO
	case unix.S_IFSOCK:
		return event.FileSocket
	case unix.S_IFCHR:
		return event.FileCharDevice
	case unix.S_IFBLK:
		return event.FileBlockDevice
	}
	return event.FileUnknown
}
