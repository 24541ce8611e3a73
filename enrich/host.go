package enrich

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"eunomia/event"
)

// identity makes what tells processes of this host apart from all others.
type identity struct {
	seed     [sha256.Size]byte // of the machine and its boot
	bootTime int64             // Unix ns
}

func readHost(o Options) (*event.Host, identity, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, identity{}, fmt.Errorf("uname: %w", err)
	}
	h := &event.Host{Name: o.Node, Kernel: unix.ByteSliceToString(u.Release[:]), Arch: runtime.GOARCH,
		BootID: firstLine(o.ProcRoot + "/sys/kernel/random/boot_id")}
	if h.Name == "" {
		h.Name = firstLine(o.HostRoot + "/etc/hostname")
	}
	if h.Name == "" {
		h.Name = unix.ByteSliceToString(u.Nodename[:])
	}
	id := identity{bootTime: o.BootTime, seed: sha256.Sum256([]byte(firstLine(o.HostRoot+"/etc/machine-id") + " " + h.BootID))}
	if id.bootTime == 0 {
		var err error
		if id.bootTime, err = measureBootTime(); err != nil {
			return nil, identity{}, err
		}
	}
	return h, id, nil
}

// measureBootTime takes the narrowest of a few readings.
func measureBootTime() (int64, error) {
	var best, boot int64
	for i := range 5 {
		var ts unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
			return 0, fmt.Errorf("read the boot clock: %w", err)
		}
		width := int64(time.Since(before))
		if i == 0 || width < best {
			best, boot = width, before.UnixNano()+width/2-ts.Nano()
		}
	}
	return boot, nil
}

// entity returns the id of a process. It is made of the start in ticks, so that a
// detector that starts anew and reads /proc gives the same id.
func (id *identity) entity(pid uint32, start uint64) string {
	b := make([]byte, 0, sha256.Size+12)
	b = append(b, id.seed[:]...)
	b = binary.LittleEndian.AppendUint32(b, pid)
	b = binary.LittleEndian.AppendUint64(b, start/nsPerTick)
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}

func (id *identity) wall(start uint64) int64 { return id.bootTime + int64(start) }

func firstLine(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}
