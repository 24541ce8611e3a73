package probes

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"

	"golang.org/x/sys/unix"
)

var networkKinds = event.SetOf(event.Connect, event.Accept, event.Bind, event.Listen)

func socket(t *testing.T, family, kind int) int {
	t.Helper()
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func sockname(t *testing.T, fd int) netip.AddrPort {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	t.Fatalf("getsockname: %T", sa)
	return netip.AddrPort{}
}

// network returns the first event of this process, of that kind and descriptor.
func (w *watcher) network(t *testing.T, kind event.Kind, fd int) *event.Event {
	t.Helper()
	e := w.expect(t, fmt.Sprintf("%s of %d", kind, fd), func(e *event.Event) bool {
		return is(kind, os.Getpid())(e) && e.Network.FD == int32(fd)
	})
	link, _ := os.Readlink("/proc/self/ns/net")
	equal(t, "network namespace", fmt.Sprintf("net:[%d]", e.Network.NetNS), link)
	return e
}

func at(e event.Endpoint) netip.AddrPort { return netip.AddrPortFrom(e.IP, e.Port) }

func TestConnectionOverIP(t *testing.T) {
	tests := []struct {
		name         string
		listen, dial int // families
		bind, to     unix.Sockaddr
		want         event.Family
	}{
		{"IPv4", unix.AF_INET, unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, nil, event.FamilyIPv4},
		{"IPv6", unix.AF_INET6, unix.AF_INET6, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}, nil, event.FamilyIPv6},
		{"IPv4 on an IPv6 socket", unix.AF_INET, unix.AF_INET6, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}},
			&unix.SockaddrInet6{Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()}, event.FamilyIPv4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := watch(t, Options{Kinds: networkKinds})
			server, client := socket(t, test.listen, unix.SOCK_STREAM), socket(t, test.dial, unix.SOCK_STREAM)
			if err := unix.Bind(server, test.bind); err != nil {
				testutil.Missing(t, "bpf", err)
			}
			if err := unix.Listen(server, 17); err != nil {
				t.Fatal(err)
			}
			address := sockname(t, server)
			to, _ := unix.Getsockname(server)
			if test.to != nil {
				test.to.(*unix.SockaddrInet6).Port = int(address.Port())
				to = test.to
			}
			if err := unix.Connect(client, to); err != nil {
				t.Fatal(err)
			}
			accepted, _, err := unix.Accept4(server, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(accepted)
			from := sockname(t, client)
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())

			bind := w.network(t, event.Bind, server)
			equal(t, "bound", at(bind.Network.Source), address)
			listen := w.network(t, event.Listen, server)
			equal(t, "listening", at(listen.Network.Source), address)
			equal(t, "backlog", listen.Network.Backlog, 17)
			connect := w.network(t, event.Connect, client)
			accept := w.network(t, event.Accept, accepted)
			equal(t, "accept's call", accept.Action, "accept4")
			for _, e := range []*event.Event{connect, accept} {
				equal(t, "source", at(e.Network.Source), from)
				equal(t, "destination", at(e.Network.Dest), address)
				equal(t, "family", e.Network.Family, test.want)
				equal(t, "transport", e.Network.Transport, event.TransportTCP)
				equal(t, "provenance", e.Provenance, event.ProvenanceKernel)
			}
			equal(t, "connect's result", connect.Return, 0)
			equal(t, "accept's result", accept.Return, int64(accepted))
		})
	}
}

func TestConnectThatFails(t *testing.T) {
	w := watch(t, Options{Kinds: networkKinds})
	fd := socket(t, unix.AF_INET, unix.SOCK_STREAM)
	err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 1})
	if err != unix.ECONNREFUSED {
		t.Fatalf("connect: %v", err)
	}
	e := w.network(t, event.Connect, fd)
	equal(t, "destination", at(e.Network.Dest), netip.MustParseAddrPort("127.0.0.1:1"))
	equal(t, "result", e.Return, -int64(unix.ECONNREFUSED))
	equal(t, "provenance", e.Provenance, event.ProvenanceUser)
	equal(t, "transport", e.Network.Transport, event.TransportTCP)
}

func TestConnectInProgress(t *testing.T) {
	w := watch(t, Options{Kinds: networkKinds})
	server := socket(t, unix.AF_INET, unix.SOCK_STREAM)
	if err := unix.Bind(server, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(server, 1); err != nil {
		t.Fatal(err)
	}
	to, _ := unix.Getsockname(server)
	fd := socket(t, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
	err := unix.Connect(fd, to)
	if err != unix.EINPROGRESS {
		testutil.Missing(t, "bpf", err)
	}
	e := w.network(t, event.Connect, fd)
	equal(t, "result", e.Return, -int64(unix.EINPROGRESS))
	equal(t, "destination", at(e.Network.Dest), sockname(t, server))
	equal(t, "source", at(e.Network.Source), sockname(t, fd))
	equal(t, "provenance", e.Provenance, event.ProvenanceKernel)
}

// A signal ends the waiting of connect, not the connecting.
func TestConnectInterrupted(t *testing.T) {
	w := watch(t, Options{Kinds: networkKinds})
	server := socket(t, unix.AF_INET, unix.SOCK_STREAM)
	if err := unix.Bind(server, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(server, 0); err != nil {
		t.Fatal(err)
	}
	to, _ := unix.Getsockname(server)
	if err := unix.Connect(socket(t, unix.AF_INET, unix.SOCK_STREAM), to); err != nil { // its queue is full now
		t.Fatal(err)
	}
	client := socket(t, unix.AF_INET, unix.SOCK_STREAM)
	thread, done := make(chan int), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		_ = unix.Connect(client, to) // the runtime's handlers have it restarted
		close(done)
	}()
	stop := make(chan struct{})
	defer close(stop)
	go func(tid int) {
		for every := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-stop:
				every.Stop()
				return
			case <-every.C:
				_ = unix.Tgkill(os.Getpid(), tid, unix.SIGURG)
			}
		}
	}(<-thread)
	e := w.network(t, event.Connect, client)
	equal(t, "result", event.ErrnoName(-e.Return), "ERESTARTSYS")
	equal(t, "provenance", e.Provenance, event.ProvenanceKernel)
	equal(t, "destination", at(e.Network.Dest), sockname(t, server))
	_ = unix.Shutdown(server, unix.SHUT_RD)
	<-done
}

func TestSendingThatConnects(t *testing.T) {
	w := watch(t, Options{Kinds: networkKinds})
	server := socket(t, unix.AF_INET, unix.SOCK_STREAM)
	if err := unix.Bind(server, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(server, 8); err != nil {
		t.Fatal(err)
	}
	to, _ := unix.Getsockname(server)
	plain := socket(t, unix.AF_INET, unix.SOCK_DGRAM)
	for call, send := range map[string]func(fd int) error{
		"sendto":  func(fd int) error { return unix.Sendto(fd, []byte("hello"), unix.MSG_FASTOPEN, to) },
		"sendmsg": func(fd int) error { return unix.Sendmsg(fd, []byte("hello"), nil, to, unix.MSG_FASTOPEN) },
	} {
		client := socket(t, unix.AF_INET, unix.SOCK_STREAM)
		t.Run(call, func(t *testing.T) {
			if err := send(client); err != nil {
				testutil.Missing(t, "bpf", err) // net.ipv4.tcp_fastopen
			}
			e := w.network(t, event.Connect, client)
			equal(t, "call", e.Action, call)
			equal(t, "destination", at(e.Network.Dest), sockname(t, server))
			equal(t, "provenance", e.Provenance, event.ProvenanceKernel)
			equal(t, "failed", e.Failed(), false)
		})
	}
	if err := unix.Sendto(plain, []byte("hello"), unix.MSG_FASTOPEN, to); err != nil {
		t.Fatal(err)
	}
	equal(t, "connects by datagram", len(w.all(func(e *event.Event) bool {
		return is(event.Connect, os.Getpid())(e) && e.Network.FD == int32(plain)
	})), 0)
}

func TestDatagramConnect(t *testing.T) {
	w := watch(t, Options{Kinds: networkKinds})
	fd := socket(t, unix.AF_INET, unix.SOCK_DGRAM)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 53}); err != nil {
		t.Fatal(err)
	}
	e := w.network(t, event.Connect, fd)
	equal(t, "destination", at(e.Network.Dest), netip.MustParseAddrPort("127.0.0.1:53"))
	equal(t, "transport", e.Network.Transport, event.TransportUDP)
}

func TestUnixSockets(t *testing.T) {
	for name, path := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "s"),
		"abstract": fmt.Sprintf("@eunomia-test-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			w := watch(t, Options{Kinds: networkKinds})
			server, client := socket(t, unix.AF_UNIX, unix.SOCK_STREAM), socket(t, unix.AF_UNIX, unix.SOCK_STREAM)
			if err := unix.Bind(server, &unix.SockaddrUnix{Name: path}); err != nil {
				t.Fatal(err)
			}
			if err := unix.Listen(server, 1); err != nil {
				t.Fatal(err)
			}
			if err := unix.Connect(client, &unix.SockaddrUnix{Name: path}); err != nil {
				t.Fatal(err)
			}
			accepted, _, err := unix.Accept4(server, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(accepted)
			for kind, fd := range map[event.Kind]int{event.Bind: server, event.Connect: client, event.Accept: accepted} {
				e := w.network(t, kind, fd)
				equal(t, kind.String()+"'s path", e.Network.UnixPath, path)
				equal(t, "family", e.Network.Family, event.FamilyUnix)
				equal(t, "transport", e.Network.Transport, event.TransportStream)
				equal(t, "provenance", e.Provenance, event.ProvenanceKernel)
				if kind != event.Bind {
					equal(t, "peer", e.Network.PeerPID, uint32(os.Getpid()))
				}
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		w := watch(t, Options{Kinds: networkKinds})
		fd := socket(t, unix.AF_UNIX, unix.SOCK_STREAM)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: "/nowhere/s"}); err == nil {
			t.Fatal("connected")
		}
		e := w.network(t, event.Connect, fd)
		equal(t, "path", e.Network.UnixPath, "/nowhere/s")
		equal(t, "provenance", e.Provenance, event.ProvenanceUser)
		equal(t, "result", e.Return, -int64(unix.ENOENT))
	})
}

func TestBindThatFails(t *testing.T) {
	w := watch(t, Options{Kinds: networkKinds})
	fd := socket(t, unix.AF_INET, unix.SOCK_STREAM)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}, Port: 4444}); err == nil {
		testutil.Missing(t, "bpf", errors.New("192.0.2.1 is an address of this machine"))
	}
	e := w.network(t, event.Bind, fd)
	equal(t, "address", at(e.Network.Source), netip.MustParseAddrPort("192.0.2.1:4444"))
	equal(t, "provenance", e.Provenance, event.ProvenanceUser)
	equal(t, "result", e.Return, -int64(unix.EADDRNOTAVAIL))
}
