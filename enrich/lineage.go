package enrich

import (
	"strings"
	"unsafe"

	"eunomia/event"
)

// image is a program in use: by the processes that run it and by the ancestors that
// did when they forked. It is counted once, and dropped with the last of them.
type image struct {
	*event.Image
	refs  int
	bytes int64
}

func (t *tree) newImage(i *event.Image) *image {
	size := int64(unsafe.Sizeof(image{})+unsafe.Sizeof(event.Image{})) + int64(len(i.Args))*int64(unsafe.Sizeof(""))
	for _, s := range []string{i.Name, i.Filename, i.Executable, i.Script, i.CommandLine, i.WorkingDirectory} {
		size += int64(len(s))
	}
	t.grow(size)
	t.stats.images.Add(1)
	return &image{Image: i, refs: 1, bytes: size}
}

func (t *tree) releaseImage(i *image) {
	if i == nil {
		return
	}
	if i.refs--; i.refs == 0 {
		t.grow(-i.bytes)
		t.stats.images.Add(-1)
	}
}

// ancestor is a snapshot of a process that forked, shared by all its descendants.
type ancestor struct {
	event.Ancestor
	image *image
	refs  int
}

// lineage is the list of ancestors that the children of one process share, as long
// as it runs the same program as the same user.
type lineage struct {
	list  []*event.Ancestor // published
	owned []*ancestor
	euid  uint32
	refs  int
}

const (
	ancestorBytes = int64(unsafe.Sizeof(ancestor{}))
	lineageBytes  = int64(unsafe.Sizeof(lineage{}))
	pointerBytes  = 2 * int64(unsafe.Sizeof(uintptr(0))) // one in each list
)

func (l *lineage) size() int64 { return lineageBytes + int64(len(l.list))*pointerBytes }

// newLineage makes the list for the children of n, with one reference.
func (t *tree) newLineage(n *node) *lineage {
	self := &ancestor{image: n.image}
	self.Ancestor = event.Ancestor{PID: n.process.PID, Start: n.process.Start, EntityID: n.process.EntityID, Image: n.image.Image, EUID: n.euid}
	n.image.refs++
	t.grow(ancestorBytes)
	var above []*ancestor
	if n.lineage != nil {
		above = n.lineage.owned[:min(len(n.lineage.owned), event.MaxAncestors-1)]
	}
	l := &lineage{refs: 1, euid: n.euid, owned: append(make([]*ancestor, 0, len(above)+1), self)}
	l.owned = append(l.owned, above...)
	l.list = make([]*event.Ancestor, len(l.owned))
	for i, a := range l.owned {
		a.refs++
		l.list[i] = &a.Ancestor
	}
	t.grow(l.size())
	return l
}

func (t *tree) releaseLineage(l *lineage) {
	if l == nil {
		return
	}
	if l.refs--; l.refs > 0 {
		return
	}
	t.grow(-l.size())
	for _, a := range l.owned {
		if a.refs--; a.refs == 0 {
			t.grow(-ancestorBytes)
			t.releaseImage(a.image)
		}
	}
}

// ancestors is nil-safe: a process without a known parent has none.
func (l *lineage) ancestors() []*event.Ancestor {
	if l == nil {
		return nil
	}
	return l.list
}

// setArgs joins the arguments into one string, which shares no memory with them, and
// lets each be a part of it.
func setArgs(i *event.Image, args []string) {
	i.CommandLine = strings.Join(args, " ")
	if len(args) == 1 { // Join returns a single one as it is
		i.CommandLine = strings.Clone(i.CommandLine)
	}
	i.Args = make([]string, len(args))
	at := 0
	for n, a := range args {
		i.Args[n] = i.CommandLine[at : at+len(a)]
		at += len(a) + 1
	}
}

// maxInterned bounds the strings that are shared between programs.
const maxInterned = 8192

// interner returns one copy of strings that many programs have in common: paths of
// binaries and working directories.
type interner map[string]string

func (in interner) of(s string) string {
	if s == "" {
		return ""
	}
	if have, ok := in[s]; ok {
		return have
	}
	if len(in) >= maxInterned {
		clear(in)
	}
	c := strings.Clone(s)
	if len(c) <= 256 {
		in[c] = c
	}
	return c
}

// cloneImage copies what an exec record tells, whose strings die with the record.
func (t *tree) cloneImage(from *event.Image) *event.Image {
	i := *from
	i.Filename = t.strings.of(from.Filename)
	i.Executable = t.strings.of(from.Executable)
	i.WorkingDirectory = t.strings.of(from.WorkingDirectory)
	i.Script = t.strings.of(from.Script)
	i.Args, i.CommandLine = nil, ""
	if len(from.Args) > 0 {
		setArgs(&i, from.Args)
	}
	return &i
}

func (t *tree) internImage(s *scanned) *event.Image {
	i := s.image
	i.Name, i.Executable, i.WorkingDirectory = t.strings.of(i.Name), t.strings.of(i.Executable), t.strings.of(i.WorkingDirectory)
	return &i
}
