package probes

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"eunomia/event"
	"eunomia/internal/testutil"

	"golang.org/x/sys/unix"
)

// program32 is a 32-bit program, assembled by hand so that no compiler is needed:
// machine code and, behind it, its data.
type program32 struct {
	code []byte
	data []byte
}

const (
	base32 = 0x08048000
	data32 = base32 + 0x1000
)

// put adds data and returns its address.
func (p *program32) put(b []byte) uint32 {
	at := data32 + uint32(len(p.data))
	p.data = append(append(p.data, b...), make([]byte, 8-len(b)%8)...)
	return at
}

func (p *program32) words(words ...uint32) uint32 {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return p.put(b)
}

// call makes a system call; its arguments go to ebx, ecx, edx, esi.
func (p *program32) call(number uint32, args ...uint32) {
	for i, opcode := range []byte{0xbb, 0xb9, 0xba, 0xbe}[:len(args)] {
		p.code = binary.LittleEndian.AppendUint32(append(p.code, opcode), args[i])
	}
	p.code = binary.LittleEndian.AppendUint32(append(p.code, 0xb8), number)
	p.code = append(p.code, 0xcd, 0x80) // int 0x80
}

// elf wraps the program as a static executable.
func (p *program32) elf() []byte {
	le := binary.LittleEndian
	h := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	h = le.AppendUint16(le.AppendUint16(h, 2), 3) // executable, i386
	for _, w := range []uint32{1, base32 + 84, 52, 0, 0} {
		h = le.AppendUint32(h, w)
	}
	for _, w := range []uint16{52, 32, 1, 0, 0, 0} {
		h = le.AppendUint16(h, w)
	}
	size := uint32(0x1000 + len(p.data))
	for _, w := range []uint32{1, 0, base32, base32, size, size, 7, 0x1000} {
		h = le.AppendUint32(h, w)
	}
	out := make([]byte, size)
	copy(out, append(h, p.code...))
	copy(out[0x1000:], p.data)
	return out
}

func TestCallsThroughThe32BitEntryAreTheSameKinds(t *testing.T) {
	dir := t.TempDir()
	var p program32
	file := p.put([]byte(filepath.Join(dir, "made") + "\x00"))
	missing := p.put([]byte("/nowhere/32\x00"))
	how := p.words(unix.O_RDONLY, 0, 0, 0, 0, 0)
	address := p.put([]byte{unix.AF_INET, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	const cwd = ^uint32(99)                                    // AT_FDCWD
	p.call(8, file, 0o600)                                     // creat: 0 is free after close
	p.call(5, file, unix.O_RDWR)                               // open
	p.call(295, cwd, missing, unix.O_RDONLY, 0)                // openat
	p.call(437, cwd, file, how, 24)                            // openat2
	p.call(359, unix.AF_INET, unix.SOCK_STREAM, 0)             // socket: descriptor 6
	p.call(362, 6, address, 16)                                // connect
	p.call(102, 1, p.words(unix.AF_INET, unix.SOCK_STREAM, 0)) // socketcall: socket, descriptor 7
	p.call(102, 3, p.words(7, address, 16))                    // socketcall: connect
	p.call(102, 4, p.words(7, 5))                              // socketcall: listen
	p.call(1, 5)                                               // exit
	path := filepath.Join(dir, "program32")
	if err := os.WriteFile(path, p.elf(), 0o755); err != nil {
		t.Fatal(err)
	}

	w := watch(t, Options{})
	cmd := exec.Command(path)
	if _, exited := cmd.Run().(*exec.ExitError); !exited { //nolint:errorlint // Run does not wrap
		testutil.Missing(t, "bpf", errors.New("the kernel does not run 32-bit programs"))
	}
	exit := w.expect(t, "exit", is(event.Exit, cmd.Process.Pid))
	equal(t, "exit code", exit.Exit.Code, 5)
	made := filepath.Join(dir, "made")
	for _, want := range []struct {
		kind         event.Kind
		action, path string
		ret          int64
	}{
		{event.Open, "creat", made, 3},
		{event.Open, "open", made, 4},
		{event.Open, "openat", "/nowhere/32", -int64(unix.ENOENT)},
		{event.Open, "openat2", made, 5},
		{event.Connect, "connect", "127.0.0.1", -int64(unix.ECONNREFUSED)},
		{event.Connect, "socketcall", "127.0.0.1", -int64(unix.ECONNREFUSED)},
		{event.Listen, "socketcall", "", 0},
	} {
		e := w.expect(t, want.action, func(e *event.Event) bool {
			return is(want.kind, cmd.Process.Pid)(e) && e.Action == want.action
		})
		equal(t, want.action+"'s result", e.Return, want.ret)
		equal(t, "compat flag", e.Flags&event.FlagCompat, event.FlagCompat)
		switch want.kind {
		case event.Open:
			equal(t, "path", e.File.Path, want.path)
		case event.Connect:
			equal(t, "destination", e.Network.Dest.IP.String(), want.path)
			equal(t, "port", e.Network.Dest.Port, 9)
		}
	}
	if listen := w.all(is(event.Listen, cmd.Process.Pid)); len(listen) == 1 {
		equal(t, "backlog", listen[0].Network.Backlog, 5)
	}
}
