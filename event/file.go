package event

import (
	"fmt"
	"path"
	"strings"
)

// File is the file that an act was about.
type File struct {
	Path       string // as seen from the process's root
	Open       OpenFlags
	OpenMode   uint32 // permission bits asked for at creation
	Created    bool   // this open made the file
	Type       FileType
	Mode       uint32 // permission bits, set-id and sticky
	UID, GID   uint32
	Inode      uint64
	Device     uint32 // kernel dev_t: major<<20 | minor
	Links      uint32
	Filesystem string // e.g. ext4, overlay, proc
	UpperLayer bool   // on a container's writable overlay layer only
	CopiedUp   bool   // in the image, and copied to the writable layer since
	Deleted    bool
	Truncated  bool // Path lost its head: longer or deeper than the sensor walks
	Unreached  bool // Path does not lead to the process's root (detached mount, outside a chroot)
	FD         int32
}

func (f *File) clone() File {
	c := *f
	c.Path = strings.Clone(f.Path)
	c.Filesystem = strings.Clone(f.Filesystem)
	return c
}

// OpenFlags are the flags given to open, with the access mode as two bits.
type OpenFlags uint16

// The open flags that rules can ask for.
const (
	OpenRead OpenFlags = 1 << iota
	OpenWrite
	OpenCreate
	OpenExclusive
	OpenTruncate
	OpenAppend
	OpenDirectory
	OpenNoFollow
	OpenPath
	OpenTmpfile
)

// FileType is a file's type.
type FileType uint8

// The file types.
const (
	FileUnknown FileType = iota
	FileRegular
	FileDirectory
	FileSymlink
	FileFIFO
	FileSocket
	FileCharDevice
	FileBlockDevice
)

var fileTypeNames = [...]string{"", "file", "dir", "symlink", "fifo", "socket", "char", "block"}

func (t FileType) String() string { return nameOf(fileTypeNames[:], int(t)) }

// Permissions formats a mode as ECS does: four octal digits.
func Permissions(mode uint32) string { return fmt.Sprintf("%04o", mode&0o7777) }

var fileKinds = SetOf(Open)

func openFlag(name string, bit OpenFlags, doc string) Field {
	return derivedBool("file.flags."+name, SetOf(Open), doc,
		func(e *Event) bool { return e.File.Open&bit != 0 },
		func(e *Event, v bool) {
			e.File.Open &^= bit
			if v {
				e.File.Open |= bit
			}
		})
}

func baseName(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

func directory(p string) string {
	switch i := strings.LastIndexByte(p, '/'); i {
	case -1:
		return ""
	case 0:
		return "/"
	default:
		return p[:i]
	}
}

var fileFields = []Field{
	strField("file.path", fileKinds, "Path as seen from the process's root, links resolved. For a failed open, the path as asked for (event.provenance is user).", func(e *Event) *string { return &e.File.Path }),
	derivedStr("file.name", fileKinds, "Last component of file.path.", "file.path", func(e *Event) string { return baseName(e.File.Path) }),
	derivedStr("file.directory", fileKinds, "file.path without its last component.", "file.path", func(e *Event) string { return directory(e.File.Path) }),
	derivedStr("file.extension", fileKinds, "Extension of file.name without the dot.", "file.path", func(e *Event) string { return strings.TrimPrefix(path.Ext(baseName(e.File.Path)), ".") }),
	{Name: "file.type", Type: String, Kinds: fileKinds, Doc: "file, dir, symlink, fifo, socket, char or block; empty when unknown.",
		Str: func(e *Event) string { return e.File.Type.String() },
		set: setter(func(e *Event, v string) error {
			n, err := indexOf(fileTypeNames[:], v)
			e.File.Type = FileType(n)
			return err
		})},
	{Name: "file.mode", Type: String, Kinds: fileKinds, Doc: "Permissions as four octal digits, e.g. 0644; empty for a failed open.",
		Str: func(e *Event) string {
			if e.File.Type == FileUnknown {
				return ""
			}
			return Permissions(e.File.Mode)
		},
		set: setter(func(e *Event, v string) error {
			if e.File.Type == FileUnknown {
				e.File.Type = FileRegular
			}
			if _, err := fmt.Sscanf(v, "%o", &e.File.Mode); err != nil {
				return fmt.Errorf("%q is not an octal mode", v)
			}
			return nil
		})},
	uintField("file.uid", fileKinds, "Owner's user id.", func(e *Event) *uint32 { return &e.File.UID }),
	uintField("file.gid", fileKinds, "Owner's group id.", func(e *Event) *uint32 { return &e.File.GID }),
	uintField("file.inode", fileKinds, "Inode number.", func(e *Event) *uint64 { return &e.File.Inode }).omitZero(),
	{Name: "file.device", Type: String, Kinds: fileKinds, Doc: "Device of the file system, major:minor.",
		Str: func(e *Event) string {
			if e.File.Device == 0 {
				return ""
			}
			return fmt.Sprintf("%d:%d", e.File.Device>>20, e.File.Device&0xfffff)
		},
		set: setter(func(e *Event, v string) error {
			var major, minor uint32
			if _, err := fmt.Sscanf(v, "%d:%d", &major, &minor); err != nil {
				return fmt.Errorf("%q is not a device such as 8:1", v)
			}
			e.File.Device = major<<20 | minor
			return nil
		})},
	uintField("file.links", fileKinds, "Number of hard links.", func(e *Event) *uint32 { return &e.File.Links }).omitZero(),
	strField("file.filesystem", fileKinds, "File system type, e.g. ext4, overlay, tmpfs, proc.", func(e *Event) *string { return &e.File.Filesystem }),
	boolField("file.upper_layer", fileKinds, "The file is not in the container's image: it lies on the writable layer only.", func(e *Event) *bool { return &e.File.UpperLayer }),
	boolField("file.copied_up", fileKinds, "The file is in the container's image and was changed since the start.", func(e *Event) *bool { return &e.File.CopiedUp }),
	boolField("file.created", SetOf(Open), "This open made the file.", func(e *Event) *bool { return &e.File.Created }),
	boolField("file.deleted", fileKinds, "The file has no name any more.", func(e *Event) *bool { return &e.File.Deleted }),
	boolField("file.truncated", fileKinds, "file.path lost its head: it is deeper or longer than the sensor walks.", func(e *Event) *bool { return &e.File.Truncated }),
	boolField("file.unreached", fileKinds, "file.path does not lead to the process's root: the file lies on a detached mount or outside a changed root, and the path is only the end of the real one.", func(e *Event) *bool { return &e.File.Unreached }),
	openFlag("read", OpenRead, "Opened for reading."),
	openFlag("write", OpenWrite, "Opened for writing."),
	openFlag("create", OpenCreate, "O_CREAT was given."),
	openFlag("exclusive", OpenExclusive, "O_EXCL was given."),
	openFlag("truncate", OpenTruncate, "O_TRUNC was given."),
	openFlag("append", OpenAppend, "O_APPEND was given."),
	openFlag("directory", OpenDirectory, "O_DIRECTORY was given."),
	openFlag("path", OpenPath, "O_PATH was given: a reference only, no access to the contents."),
	openFlag("tmpfile", OpenTmpfile, "O_TMPFILE was given: an unnamed file."),
}
