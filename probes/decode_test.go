package probes

import (
	"bytes"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"eunomia/bpf"
	"eunomia/event"
	"eunomia/internal/testutil"

	"golang.org/x/sys/unix"
)

func TestRecordsHaveNoHiddenPadding(t *testing.T) {
	for _, record := range []any{
		bpf.ProcessRecordHeader{}, bpf.ProcessRecordExec{}, bpf.ProcessRecordFork{}, bpf.ProcessRecordExit{},
		bpf.FileRecordOpen{}, bpf.NetworkRecordNetwork{}, bpf.CgroupRecordCgroup{},
	} {
		typ := reflect.TypeOf(record)
		if end := fieldsEnd(t, typ); end != typ.Size() {
			t.Errorf("%s: fields end at %d of %d bytes", typ, end, typ.Size())
		}
		if typ.Size()%8 != 0 {
			t.Errorf("%s: %d bytes, not a multiple of 8", typ, typ.Size())
		}
	}
}

// fieldsEnd checks that a structure's fields lie side by side, nested ones too.
func fieldsEnd(t *testing.T, typ reflect.Type) uintptr {
	t.Helper()
	var end uintptr
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Name == "_" && f.Type.Size() > 0 {
			t.Errorf("%s: generated padding of %d bytes at %d", typ, f.Type.Size(), f.Offset)
		}
		if f.Offset != end {
			t.Errorf("%s.%s: at %d, the field before ends at %d", typ, f.Name, f.Offset, end)
		}
		if f.Type.Kind() == reflect.Struct {
			fieldsEnd(t, f.Type)
		}
		end = f.Offset + f.Type.Size()
	}
	return end
}

func TestKindsAreNumberedAsInTheKernel(t *testing.T) {
	for kind, number := range map[event.Kind]bpf.ProcessRecordKind{
		event.Exec:         bpf.ProcessRecordKindRECORD_EXEC,
		event.Fork:         bpf.ProcessRecordKindRECORD_FORK,
		event.Exit:         bpf.ProcessRecordKindRECORD_EXIT,
		event.Open:         bpf.ProcessRecordKindRECORD_OPEN,
		event.Connect:      bpf.ProcessRecordKindRECORD_CONNECT,
		event.Accept:       bpf.ProcessRecordKindRECORD_ACCEPT,
		event.Bind:         bpf.ProcessRecordKindRECORD_BIND,
		event.Listen:       bpf.ProcessRecordKindRECORD_LISTEN,
		event.CgroupMake:   bpf.ProcessRecordKindRECORD_CGROUP_MAKE,
		event.CgroupRemove: bpf.ProcessRecordKindRECORD_CGROUP_REMOVE,
	} {
		if uint32(kind) != uint32(number) {
			t.Errorf("%s is %d in Go and %d in bpf/include/record.h", kind, kind, number)
		}
	}
	for k := event.KindNone + 1; k < event.NumKinds; k++ {
		if decoders[k].read == nil {
			t.Errorf("%s has no decoder; add its row to decoders in decode.go", k)
		}
		served := false
		for _, f := range families {
			for _, h := range f.hooks {
				served = served || h.kinds.Has(k)
			}
		}
		if !served {
			t.Errorf("no hook reports %s; add its row to families in families.go", k)
		}
	}
}

func TestCallNames(t *testing.T) {
	equal(t, "openat", callName(abiNative, unix.SYS_OPENAT), "openat")
	equal(t, "connect", callName(abiNative, unix.SYS_CONNECT), "connect")
	equal(t, "beyond the table", callName(abiNative, 60000), "unknown")
	names := map[string]bool{}
	for _, table := range [][slots]string{nativeCalls, compatCalls} {
		for _, name := range table {
			names[name] = true
		}
	}
	for _, c := range calls {
		if !names[c.name] && c.name != "open" && c.name != "creat" {
			t.Errorf("no entry convention has a call %q", c.name)
		}
	}
}

func TestControllersAndMountsAreParsed(t *testing.T) {
	hierarchies := parseControllers("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t2\t1\nmemory\t4\t13\t1\n")
	equal(t, "memory", hierarchies["memory"], 4)
	mounts := parseCgroupMounts(strings.Join([]string{
		"30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw",
		"31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:1 - cgroup2 cgroup2 rw,nsdelegate",
		"32 30 0:28 /docker/1f /sys/fs/cgroup/cpu\\040x rw - cgroup cgroup rw,cpu,cpuacct",
	}, "\n"))
	equal(t, "v2", mounts[""].dir, "/sys/fs/cgroup/unified")
	equal(t, "cpuacct", mounts["cpuacct"].dir, "/sys/fs/cgroup/cpu x")
	equal(t, "root", mounts["cpu"].root, "/docker/1f")
}

// realRecords makes acts and returns the records as the kernel wrote them.
func realRecords(t testing.TB) [][]byte {
	testutil.Require(t, "bpf")
	s, err := Open(Options{NoCounters: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_ = exec.Command("/bin/cat", "/etc/hostname", "/nowhere").Run()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	_ = unix.Listen(fd, 1)
	_ = unix.Connect(fd, &unix.SockaddrUnix{Name: "/nowhere"})
	_ = unix.Close(fd)
	var out [][]byte
	for _, r := range []*ring{s.priority, s.bulk} {
		r.refresh()
		for record, _ := r.peek(); record != nil && len(out) < 200; record, _ = r.peek() {
			out = append(out, bytes.Clone(record))
			r.next(record)
		}
	}
	return out
}

func TestDecodingAnOpenAllocatesNothing(t *testing.T) {
	var d Decoder
	var e event.Event
	checked := 0
	for _, record := range realRecords(t) {
		if event.Kind(view[header](record).Kind) != event.Open {
			continue
		}
		checked++
		if n := testing.AllocsPerRun(10, func() { _ = d.Decode(record, &e) }); n > 0 {
			t.Errorf("%v allocations for %s", n, e.File.Path)
		}
	}
	if checked == 0 {
		t.Error("no open recorded")
	}
}

func TestMalformedRecordsAreRefused(t *testing.T) {
	var d Decoder
	for _, record := range realRecords(t) {
		var e event.Event
		if err := d.Decode(record, &e); err != nil {
			t.Errorf("real record: %v", err)
		}
		for n := range len(record) {
			if d.Decode(record[:n], &e) == nil {
				t.Fatalf("%s: %d of %d bytes were accepted", e.Kind, n, len(record))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	if os.Geteuid() == 0 {
		for _, record := range realRecords(f) {
			f.Add(record)
		}
	}
	f.Fuzz(func(_ *testing.T, record []byte) {
		var d Decoder
		var e event.Event
		if len(record) >= headerSize { // a fuzzer does not find the length by itself
			record = bytes.Clone(record)
			view[header](record).Length = uint32(len(record))
		}
		if d.Decode(record, &e) == nil {
			_ = e.Clone()
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	records := realRecords(b)
	var d Decoder
	var e event.Event
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		_ = d.Decode(records[i%len(records)], &e)
		i++
	}
}
