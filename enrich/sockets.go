package enrich

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"eunomia/event"
)

// Bounds of what is read of one table of /proc/net, at the start and later, when
// events wait.
const (
	maxSocketTable     = 4 << 20
	maxSocketTableLate = 128 << 10
)

// socketTables finds the remote ends of sockets by inode, reading the tables of each
// network namespace once. It lives as long as one scan: what it holds grows stale.
type socketTables struct {
	proc  string
	limit int64
	read  map[uint32]map[uint64]event.Stream // by network namespace
}

// complete tells for the process's standard streams that are sockets which kind
// they are, and where they lead.
func (t *socketTables) complete(s *scanned) {
	for fd, to := range []*event.Stream{&s.process.Stdin, &s.process.Stdout, &s.process.Stderr} {
		if s.sockets[fd] == 0 {
			continue
		}
		if found, ok := t.of(s)[s.sockets[fd]]; ok {
			*to = found
		}
	}
}

func (t *socketTables) of(s *scanned) map[uint64]event.Stream {
	namespace := s.process.Namespaces.Net
	if table, ok := t.read[namespace]; ok {
		return table
	}
	table := make(map[uint64]event.Stream)
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6", "unix"} {
		f, err := os.Open(fmt.Sprintf("%s/%d/net/%s", t.proc, s.pid, name))
		if err != nil {
			continue
		}
		readSockets(io.LimitReader(f, t.limit), name == "unix", table)
		f.Close()
	}
	if t.read == nil {
		t.read = make(map[uint32]map[uint64]event.Stream)
	}
	t.read[namespace] = table
	return table
}

func readSockets(r io.Reader, unix bool, table map[uint64]event.Stream) {
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if unix {
			if len(f) > 6 {
				if inode, err := strconv.ParseUint(f[6], 10, 64); err == nil {
					table[inode] = event.Stream{Type: event.StreamUnix}
				}
			}
			continue
		}
		if len(f) < 10 {
			continue
		}
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if err != nil || inode == 0 {
			continue
		}
		ip, port := parseSocketAddress(f[2])
		table[inode] = event.Stream{Type: event.StreamInet, IP: ip, Port: port}
	}
}

// parseSocketAddress reads an address of /proc/net/tcp: 32-bit words in the
// machine's byte order, and the port. An unconnected socket has no address.
func parseSocketAddress(s string) (netip.Addr, uint16) {
	address, port, _ := strings.Cut(s, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	raw, err2 := hex.DecodeString(address)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.Addr{}, 0
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok || ip.IsUnspecified() && number == 0 {
		return netip.Addr{}, 0
	}
	return ip.Unmap(), uint16(number)
}
