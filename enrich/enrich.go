// Package enrich completes events: it decides which process an event belongs to,
// which container, and what its users are called.
//
// A process is identified by its pid and its start, so that a pid in use again never
// inherits an identity. The tree starts from /proc and follows fork, exec and exit;
// what it lacks it reads from /proc, and where the process is gone, makes up from
// the event's header and counts. It is bounded by bytes: ended processes go first,
// then those that have not acted for longest.
//
// A container is identified by its control group at the very first event, without
// waiting for a runtime. What the runtime tells (name, image, labels) arrives later:
// until then the metadata is pending, which rules see as unknown.
//
// Nothing here trusts what a container can write: the names of nested control
// groups, labels, passwd files.
//
// To add a runtime whose groups are named <prefix>-<id>, add a row to scopes in
// cgrouppath.go and a test row; for other names, a case in namedContainer. To ask
// another runtime for metadata, write a client like docker.go's that calls learn,
// unknown, lost and destroyed of containers, and start it in Run.
package enrich

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"eunomia/event"
)

// Options configure an Enricher. The zero value is a detector on the host itself.
type Options struct {
	ProcRoot string // /proc of the initial pid namespace; "/proc" when empty
	HostRoot string // prefix of the host's files; empty on the host itself
	Node     string // name of the host in events; its hostname when empty
	BootTime int64  // wall clock at boot, Unix ns, as the probes use it; measured when 0
	MaxBytes int64  // bound of the process tree; 64 MiB when 0
	Cgroups  Cgroups
	Logger   *slog.Logger

	NoDocker     bool
	DockerHost   string        // e.g. unix:///run/user/1000/docker.sock; the usual socket when empty
	MetadataWait time.Duration // after which pending metadata counts as absent; 3 s when 0

	// OnContainer is called, from any goroutine, when metadata that was pending has
	// arrived or will not arrive, or when it has changed. It must not block.
	OnContainer func(id string)
}

// Enricher completes events. Enrich is called by one goroutine; Stats may be called
// by any.
type Enricher struct {
	options    Options
	logger     *slog.Logger
	host       *event.Host
	identity   identity
	tree       *tree
	cgroups    *cgroups
	containers *containers
	reader     *procReader
	throttle   throttle
	hostNames  hostNames
	hostTable  atomic.Pointer[names]
	names      *nameReader
	running    atomic.Bool // Run is
	users      map[userKey]*users
	usersAt    usersEpoch
	hostMounts map[uint32]bool // mount namespaces of processes outside containers
	initMounts uint32          // that of pid 1
	stats      counters
}

// New reads the host's facts and the processes that exist. Call it when the probes
// are attached, so that what begins meanwhile is in their rings.
func New(o Options) (*Enricher, error) {
	if o.ProcRoot == "" {
		o.ProcRoot = "/proc"
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MetadataWait <= 0 {
		o.MetadataWait = 3 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.DockerHost == "" {
		o.DockerHost = "unix://" + o.HostRoot + "/var/run/docker.sock"
	}
	o.Cgroups.V1, o.Cgroups.V2 = resolved(o.Cgroups.V1), resolved(o.Cgroups.V2)
	if o.Cgroups.V1 == "" && o.Cgroups.V2 == "" {
		o.Cgroups.V1, o.Cgroups.V2 = findV1(o.HostRoot), findV2(o.HostRoot)
	}
	n := &Enricher{options: o, logger: o.Logger, hostNames: hostNames{root: o.HostRoot}, users: make(map[userKey]*users), hostMounts: make(map[uint32]bool)}
	var err error
	if n.host, n.identity, err = readHost(o); err != nil {
		return nil, err
	}
	n.reader = newProcReader(o.ProcRoot, filepath.Base(o.Cgroups.V1))
	if _, err := n.reader.read(uint32(os.Getpid())); err != nil && o.ProcRoot == "/proc" {
		return nil, fmt.Errorf("read own process: %w", err)
	}
	n.tree = newTree(o.MaxBytes, &n.stats)
	n.containers = newContainers(o.MetadataWait, o.OnContainer, &n.stats)
	n.containers.own = n.ownMakers()
	n.containers.absent.Store(o.NoDocker)
	n.cgroups = newCgroups(o.Cgroups, o.ProcRoot, n.containers, &n.stats)
	n.names = newNameReader(o.ProcRoot, &n.stats)
	n.hostTable.Store(&names{})
	n.reloadHostNames()
	if err := n.scan(); err != nil {
		return nil, err
	}
	return n, nil
}

// Run asks the runtimes and reads name files until ctx is done.
func (n *Enricher) Run(ctx context.Context) error {
	n.running.Store(true)
	defer n.running.Store(false)
	g, ctx := errgroup.WithContext(ctx)
	if !n.options.NoDocker {
		g.Go(func() error { return newDocker(n.options, n.containers, &n.stats).run(ctx) })
	}
	g.Go(func() error { n.names.run(ctx); return nil })
	g.Go(func() error {
		every := time.NewTicker(5 * time.Second)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-every.C:
				n.reloadHostNames()
				n.containers.sweep()
			}
		}
	})
	return g.Wait()
}

// Container returns the container that the host's runtime knows by this id, as it is
// known now, or nil. Any goroutine may ask.
func (n *Enricher) Container(id string) *event.Container { return n.containers.find(id) }

// ContainerOf returns the container that the control group with this id belongs to,
// or nil. Any goroutine may ask.
func (n *Enricher) ContainerOf(cgroup uint64) *event.Container { return n.cgroups.container(cgroup) }

func (n *Enricher) reloadHostNames() {
	if table, changed := n.hostNames.changed(); changed {
		n.hostTable.Store(table)
		n.stats.namesHostReloads.Add(1)
	}
}

// ownMakers lists the makers of containers that the runtime we ask can be.
func (n *Enricher) ownMakers() map[string]bool {
	own := make(map[string]bool)
	dir, err := unix.Open(n.options.ProcRoot+"/self", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(dir)
		if r := containerOf(readText(dir, "cgroup", n.reader.buf), n.reader.controller); r.ID != "" {
			own[r.key()] = true
		}
	}
	if _, rest, ok := strings.Cut(n.options.DockerHost, "/run/user/"); ok {
		uid, _, _ := strings.Cut(rest, "/")
		own["user@"+uid+".service"] = true
	}
	return own
}

func resolved(path string) string {
	if path == "" {
		return ""
	}
	if r, err := filepath.EvalSymlinks(path); err == nil {
		return r
	}
	return filepath.Clean(path)
}

// findV1 chooses the hierarchy that the probes choose.
func findV1(root string) string {
	for _, controller := range []string{"memory", "pids", "cpu", "devices", "freezer"} {
		path := root + "/sys/fs/cgroup/" + controller
		var st unix.Statfs_t
		if unix.Statfs(path, &st) == nil && st.Type == unix.CGROUP_SUPER_MAGIC {
			return resolved(path)
		}
	}
	return ""
}

func findV2(root string) string {
	for _, path := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(root+path, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return root + path
		}
	}
	return ""
}
