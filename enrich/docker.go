package enrich

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"
)

const (
	inspectors     = 4
	inspectBacklog = 256
	dockerTimeout  = 10 * time.Second // of one question
	pingTimeout    = 3 * time.Second
)

// docker keeps the containers' metadata up to date from a Docker daemon: it follows
// the event stream, lists what runs, and inspects each container when it is created,
// started, renamed or updated, and when its control group is seen.
type docker struct {
	host       string
	containers *containers
	stats      *counters
	logger     *slog.Logger
	retry      backoff.BackOff
	seed       maphash.Seed
	told       bool // the log knows the present state
}

func newDocker(o Options, containers *containers, stats *counters) *docker {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 250*time.Millisecond, 5*time.Second
	return &docker{host: o.DockerHost, containers: containers, stats: stats, logger: o.Logger, retry: retry, seed: maphash.MakeSeed()}
}

// run holds a session with the daemon and begins a new one when it ends, until ctx
// is done.
func (d *docker) run(ctx context.Context) error {
	for {
		err := d.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		d.stats.dockerFailures.Add(1)
		if wasConnected := d.stats.dockerConnected.Swap(false); wasConnected || !d.told {
			d.told = true
			d.logger.Warn("docker is not reachable: container names and images stay unknown until it is", "host", d.host, "error", err)
		}
		d.containers.lost()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(d.retry.NextBackOff()):
		}
	}
}

// session returns when the connection is lost.
func (d *docker) session(ctx context.Context) error {
	api, hangUp, err := dial(d.host)
	if err != nil {
		return err
	}
	defer hangUp()
	if err := ping(ctx, api); err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx) // ends the stream and the workers with the session
	defer end()
	g, ctx := errgroup.WithContext(ctx)
	stream, failed := api.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", "container"), filters.Arg("event", "create"), filters.Arg("event", "start"), filters.Arg("event", "rename"),
		filters.Arg("event", "update"), filters.Arg("event", "destroy"))})
	running, err := list(ctx, api)
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	d.connected(len(running))

	q := &inspections{docker: d, api: api}
	for i := range q.queues {
		q.queues[i] = make(chan string, inspectBacklog)
		g.Go(func() error { return q.work(ctx, q.queues[i]) })
	}
	listed := make(map[string]bool, len(running))
	g.Go(func() error {
		for _, c := range running {
			listed[c.ID] = true
		}
		d.containers.unlisted(listed)
		for _, c := range running {
			if err := q.ask(ctx, c.ID); err != nil {
				return err
			}
		}
		for {
			select {
			case m := <-stream:
				if m.Action == events.ActionDestroy {
					d.containers.destroyed(m.Actor.ID)
				} else if err := q.ask(ctx, m.Actor.ID); err != nil {
					return err
				}
			case s := <-d.containers.requests:
				if err := q.ask(ctx, s.ref.ID); err != nil {
					return err
				}
			case err := <-failed:
				return fmt.Errorf("docker events: %w", err)
			}
		}
	})
	return g.Wait()
}

func ping(ctx context.Context, api *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if _, err := api.Ping(ctx); err != nil {
		return fmt.Errorf("ping docker: %w", err)
	}
	return nil
}

func list(ctx context.Context, api *client.Client) ([]container.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	return api.ContainerList(ctx, container.ListOptions{})
}

func (d *docker) connected(running int) {
	d.retry.Reset()
	d.stats.dockerConnects.Add(1)
	d.stats.dockerConnected.Store(true)
	d.containers.absent.Store(false)
	d.told = true
	d.logger.Info("docker connected", "host", d.host, "running", running)
}

// inspections asks about containers, each always by the same worker, so that an
// older answer never replaces a newer one.
type inspections struct {
	docker *docker
	api    *client.Client
	queues [inspectors]chan string
	images imageCache
}

func (q *inspections) ask(ctx context.Context, id string) error {
	select {
	case q.queues[maphash.String(q.docker.seed, id)%inspectors] <- id:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *inspections) work(ctx context.Context, ids <-chan string) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case id := <-ids:
			q.inspect(ctx, id)
		}
	}
}

func (q *inspections) inspect(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	q.docker.stats.dockerInspects.Add(1)
	about, err := q.api.ContainerInspect(ctx, id)
	switch {
	case errdefs.IsNotFound(err):
		q.docker.containers.notFound(id)
	case err == nil && about.ContainerJSONBase == nil:
		err = errors.New("empty answer")
		fallthrough
	case err != nil:
		if ctx.Err() == nil {
			q.docker.stats.dockerErrors.Add(1)
			q.docker.logger.Debug("inspect container", "container_id", id, "error", err)
		}
	default:
		q.docker.containers.learn(id, describe(about, q.image(ctx, about.Image)))
	}
}
