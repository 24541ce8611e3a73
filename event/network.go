package event

import (
	"net/netip"
	"strings"
)

// Network is the socket and the addresses that an act was about.
type Network struct {
	Family    Family
	Transport Transport
	Source    Endpoint // the side that initiates; for bind and listen, the local side
	Dest      Endpoint
	UnixPath  string // path, or "@" and the name in the abstract namespace
	Backlog   uint32
	NetNS     uint32
	FD        int32
	PeerPID   uint32 // unix sockets, where the kernel knows it
}

// Endpoint is one side of a connection; the zero Addr when unknown.
type Endpoint struct {
	IP   netip.Addr
	Port uint16
}

func (n *Network) clone() Network {
	c := *n
	c.UnixPath = strings.Clone(n.UnixPath)
	return c
}

// Family is an address family.
type Family uint8

// The families that carry addresses; others are FamilyOther.
const (
	FamilyUnknown Family = iota
	FamilyIPv4
	FamilyIPv6
	FamilyUnix
	FamilyNetlink
	FamilyPacket
	FamilyVsock
	FamilyOther
)

var familyNames = [...]string{"", "ipv4", "ipv6", "unix", "netlink", "packet", "vsock", "other"}

func (f Family) String() string { return nameOf(familyNames[:], int(f)) }

// Transport is a transport protocol.
type Transport uint8

// The transports.
const (
	TransportUnknown Transport = iota
	TransportTCP
	TransportUDP
	TransportICMP
	TransportSCTP
	TransportStream   // unix stream
	TransportDatagram // unix datagram
	TransportRaw
	TransportOther
)

var transportNames = [...]string{"", "tcp", "udp", "icmp", "sctp", "unix_stream", "unix_dgram", "raw", "other"}

func (t Transport) String() string { return nameOf(transportNames[:], int(t)) }

var networkKinds = SetOf(Connect, Accept, Bind, Listen)

var networkFields = []Field{
	ipField("source.ip", networkKinds, "Address of the side that initiates the connection; for bind and listen, the local address.", func(e *Event) *netip.Addr { return &e.Network.Source.IP }),
	uintField("source.port", networkKinds, "Port of the same side.", func(e *Event) *uint16 { return &e.Network.Source.Port }).omitZero(),
	ipField("destination.ip", SetOf(Connect, Accept), "Address of the side that is connected to.", func(e *Event) *netip.Addr { return &e.Network.Dest.IP }),
	uintField("destination.port", SetOf(Connect, Accept), "Port of the same side.", func(e *Event) *uint16 { return &e.Network.Dest.Port }).omitZero(),
	{Name: "network.type", Type: String, Kinds: networkKinds, Doc: "Address family: ipv4, ipv6, unix, netlink, packet, vsock or other.",
		Str: func(e *Event) string { return e.Network.Family.String() },
		set: setter(func(e *Event, v string) error {
			n, err := indexOf(familyNames[:], v)
			e.Network.Family = Family(n)
			return err
		})},
	{Name: "network.transport", Type: String, Kinds: networkKinds, Doc: "tcp, udp, icmp, sctp, unix_stream, unix_dgram, raw or other.",
		Str: func(e *Event) string { return e.Network.Transport.String() },
		set: setter(func(e *Event, v string) error {
			n, err := indexOf(transportNames[:], v)
			e.Network.Transport = Transport(n)
			return err
		})},
	{Name: "network.direction", Type: String, Kinds: networkKinds, Doc: "egress for connect, ingress for accept, bind and listen.", derivedFrom: "event.kind",
		Str: func(e *Event) string {
			if e.Kind == Connect {
				return "egress"
			}
			return "ingress"
		}},
	strField("unix.path", networkKinds, "Path of a unix socket; an abstract name begins with @.", func(e *Event) *string { return &e.Network.UnixPath }),
	uintField("listen.backlog", SetOf(Listen), "Length of the queue asked for.", func(e *Event) *uint32 { return &e.Network.Backlog }),
}
