package probes

import (
	"strings"

	"eunomia/bpf"
	"eunomia/event"

	"golang.org/x/sys/unix"
)

const (
	afInet  = unix.AF_INET
	afInet6 = unix.AF_INET6
)

func decodeNetwork(record []byte, t *tail, e *event.Event) {
	r := view[bpf.NetworkRecordNetwork](record)
	local := endpoint(r.Family, r.Local, r.LocalPort)
	remote := endpoint(r.Family, r.Remote, r.RemotePort)
	n := &e.Network
	*n = event.Network{
		Family:    family4(r.Family),
		Transport: transport(r),
		UnixPath:  unixPath(t.string(r.PathLength)),
		Backlog:   r.Backlog,
		NetNS:     r.NetNs,
		FD:        r.Fd,
		PeerPID:   r.Peer,
	}
	switch e.Kind {
	case event.Connect:
		n.Source, n.Dest = known(local), known(remote)
	case event.Accept:
		n.Source, n.Dest = known(remote), known(local)
	default:
		n.Source = local // 0.0.0.0 says something here: all addresses
	}
	if n.Family == event.FamilyIPv6 && (n.Dest.IP.Is4() || n.Source.IP.Is4()) {
		n.Family = event.FamilyIPv4 // an IPv6 socket that speaks IPv4
	}
}

func endpoint(family uint16, b [16]byte, port uint16) event.Endpoint {
	return event.Endpoint{IP: address(family, b), Port: port}
}

// known returns the zero Endpoint for an address that nobody has set.
func known(e event.Endpoint) event.Endpoint {
	if e.Port == 0 && e.IP.IsUnspecified() {
		return event.Endpoint{}
	}
	return e
}

// unixPath ends a path at its NUL; an abstract name (@) may hold some.
func unixPath(p string) string {
	if strings.HasPrefix(p, "@") {
		return p
	}
	p, _, _ = strings.Cut(p, "\x00")
	return p
}

func family4(family uint16) event.Family {
	switch family {
	case unix.AF_UNSPEC:
		return event.FamilyUnknown
	case unix.AF_INET:
		return event.FamilyIPv4
	case unix.AF_INET6:
		return event.FamilyIPv6
	case unix.AF_UNIX:
		return event.FamilyUnix
	case unix.AF_NETLINK:
		return event.FamilyNetlink
	case unix.AF_PACKET:
		return event.FamilyPacket
	case unix.AF_VSOCK:
		return event.FamilyVsock
	}
	return event.FamilyOther
}

func transport(r *bpf.NetworkRecordNetwork) event.Transport {
	if r.Type == 0 {
		return event.TransportUnknown // no socket was there to look at
	}
	switch r.Family {
	case unix.AF_UNIX:
		if r.Type == unix.SOCK_DGRAM {
			return event.TransportDatagram
		}
		return event.TransportStream
	case unix.AF_INET, unix.AF_INET6:
		return inetTransport(r)
	}
	if r.Type == unix.SOCK_RAW {
		return event.TransportRaw
	}
	return event.TransportOther
}

func inetTransport(r *bpf.NetworkRecordNetwork) event.Transport {
	if r.Type == unix.SOCK_RAW {
		return event.TransportRaw
	}
	switch r.Protocol {
	case unix.IPPROTO_TCP, unix.IPPROTO_MPTCP:
		return event.TransportTCP
	case unix.IPPROTO_UDP:
		return event.TransportUDP
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		return event.TransportICMP
	case unix.IPPROTO_SCTP:
		return event.TransportSCTP
	}
	return event.TransportOther
}
