package enrich

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeDocker answers as a Docker daemon does, from a table, on a socket that can be
// taken away and come back.
type fakeDocker struct {
	t      *testing.T
	socket string

	mu         sync.Mutex
	containers map[string]map[string]any // by id: the answer to an inspection
	events     []chan map[string]any
	inspected  map[string]int
	delay      time.Duration
	server     *http.Server
}

func newFakeDocker(t *testing.T) *fakeDocker {
	d := &fakeDocker{t: t, socket: filepath.Join(t.TempDir(), "d.sock"), containers: map[string]map[string]any{}, inspected: map[string]int{}}
	t.Cleanup(d.stop)
	return d
}

func (d *fakeDocker) start() {
	l, err := net.Listen("unix", d.socket)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server = &http.Server{Handler: http.HandlerFunc(d.serve)}
	go func(s *http.Server) { _ = s.Serve(l) }(d.server)
}

func (d *fakeDocker) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server != nil {
		d.server.Close()
		d.server, d.events = nil, nil
	}
}

func (d *fakeDocker) add(id, name, image string, labels map[string]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.containers[id] = map[string]any{
		"Id": id, "Name": "/" + name, "Image": "sha256:" + fakeID(7),
		"State":      map[string]any{"StartedAt": "2026-01-02T03:04:05.000000006Z"},
		"HostConfig": map[string]any{"Privileged": true},
		"Config":     map[string]any{"Image": image, "Labels": labels},
		"Mounts":     []map[string]any{{"Source": "/srv", "Destination": "/data", "RW": false}},
	}
}

func (d *fakeDocker) tell(action, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.events {
		c <- map[string]any{"Type": "container", "Action": action, "Actor": map[string]any{"ID": id}}
	}
}

func (d *fakeDocker) count(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inspected[id]
}

func (d *fakeDocker) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.41")
	path := r.URL.Path
	if i := strings.Index(path[1:], "/"); strings.HasPrefix(path, "/v1.") && i > 0 {
		path = path[i+1:]
	}
	answer := json.NewEncoder(w)
	switch {
	case path == "/_ping":
	case path == "/containers/json":
		d.mu.Lock()
		list := []map[string]any{}
		for id := range d.containers {
			list = append(list, map[string]any{"Id": id})
		}
		d.mu.Unlock()
		_ = answer.Encode(list)
	case path == "/events":
		c := make(chan map[string]any, 100)
		d.mu.Lock()
		d.events = append(d.events, c)
		d.mu.Unlock()
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for {
			select {
			case m := <-c:
				_ = answer.Encode(m)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	case strings.HasPrefix(path, "/images/"):
		_ = answer.Encode(map[string]any{"RepoTags": []string{"nginx:1.27"}, "RepoDigests": []string{"nginx@sha256:" + fakeID(9)}})
	case strings.HasPrefix(path, "/containers/"):
		id := strings.TrimSuffix(strings.TrimPrefix(path, "/containers/"), "/json")
		d.mu.Lock()
		delay := d.delay
		found := d.containers[id]
		d.inspected[id]++
		d.mu.Unlock()
		time.Sleep(delay)
		if found == nil {
			w.WriteHeader(http.StatusNotFound)
			_ = answer.Encode(map[string]any{"message": "No such container: " + id})
			return
		}
		_ = answer.Encode(found)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}
