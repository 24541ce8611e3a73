package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"eunomia/event"
	"eunomia/probes"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// fakeGroups are the kernel's counters; group n belongs to container n, group 1 to
// the host.
type fakeGroups struct {
	now []probes.CgroupStats
	err error
}

func (f *fakeGroups) collector() *containerCollector {
	return newContainerCollector(
		func() ([]probes.CgroupStats, error) { return f.now, f.err },
		func(id uint64) *event.Container {
			if id == 1 {
				return nil
			}
			return &event.Container{ID: fmt.Sprintf("%012d-and-more", id), Name: fmt.Sprintf("name%d", id)}
		})
}

// scrape returns the values of all series: "container_events_total{000000000002,name2,exec}".
func scrape(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	out := make(chan prometheus.Metric)
	go func() {
		defer close(out)
		c.Collect(out)
	}()
	values := map[string]float64{}
	for m := range out {
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(m.Desc().String(), `fqName: "eunomia_`)
		name, _, _ = strings.Cut(name, `"`)
		labels := map[string]string{}
		for _, l := range d.Label {
			labels[l.GetName()] = l.GetValue()
		}
		key := name + "{" + labels["container_id"]
		for _, l := range []string{"container", "kind", "direction", "syscall"} {
			if v, ok := labels[l]; ok {
				key += "," + v
			}
		}
		key += "}"
		if _, twice := values[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		values[key] = d.Counter.GetValue()
	}
	return values
}

func check(t *testing.T, got map[string]float64, want map[string]float64) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %v, want %v", k, got[k], v)
		}
	}
}

func TestAContainersGroupsAreSummed(t *testing.T) {
	f := &fakeGroups{}
	c := f.collector()
	c.containerOf = func(id uint64) *event.Container { return &event.Container{ID: "4f1c4f1c4f1c4f1c", Name: "web"} }
	f.now = []probes.CgroupStats{{ID: 2, Exec: 1, ReadBytes: 10, Syscalls: []uint64{5}}, {ID: 3, Exec: 2, WriteBytes: 20, Syscalls: []uint64{7}}}
	check(t, scrape(t, c), map[string]float64{
		"container_events_total{4f1c4f1c4f1c,web,exec}":                        3,
		"container_io_bytes_total{4f1c4f1c4f1c,web,read}":                      10,
		"container_io_bytes_total{4f1c4f1c4f1c,web,write}":                     20,
		"container_syscalls_total{4f1c4f1c4f1c," + probes.SyscallName(0) + "}": 12,
	})
}

func TestTotalsNeverFall(t *testing.T) {
	const exec, host = "container_events_total{000000000002,name2,exec}", "container_events_total{,,exec}"
	f := &fakeGroups{}
	c := f.collector()
	for step, x := range []struct {
		name   string
		groups []probes.CgroupStats
		want   map[string]float64
	}{
		{"the first look", []probes.CgroupStats{{ID: 1, Exec: 3}, {ID: 2, Exec: 5}}, map[string]float64{host: 3, exec: 5}},
		{"nothing happened", []probes.CgroupStats{{ID: 1, Exec: 3}, {ID: 2, Exec: 5}}, map[string]float64{host: 3, exec: 5}},
		{"growth", []probes.CgroupStats{{ID: 1, Exec: 4}, {ID: 2, Exec: 9}}, map[string]float64{host: 4, exec: 9}},
		{"the last report of a group", []probes.CgroupStats{{ID: 1, Exec: 4}, {ID: 2, Exec: 10, Removed: true}}, map[string]float64{host: 4, exec: 10}},
		{"the group is gone", []probes.CgroupStats{{ID: 1, Exec: 4}}, map[string]float64{host: 4, exec: 10}},
		{"its id is used again", []probes.CgroupStats{{ID: 1, Exec: 4}, {ID: 2, Exec: 2}}, map[string]float64{host: 4, exec: 12}},
		{"a counter began anew", []probes.CgroupStats{{ID: 1, Exec: 4}, {ID: 2, Exec: 1}}, map[string]float64{host: 4, exec: 13}},
	} {
		t.Run(fmt.Sprintf("%d %s", step, x.name), func(t *testing.T) {
			f.now = x.groups
			check(t, scrape(t, c), x.want)
		})
	}
}

func TestAScrapeThatCannotReadTheKernelShowsNothing(t *testing.T) {
	f := &fakeGroups{now: []probes.CgroupStats{{ID: 1, Exec: 3}}}
	c := f.collector()
	scrape(t, c)
	f.err = errors.New("closed")
	if got := scrape(t, c); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	f.err = nil
	check(t, scrape(t, c), map[string]float64{"container_events_total{,,exec}": 3})
}

func TestContainersBeyondTheBoundAreCountedUnderOther(t *testing.T) {
	f := &fakeGroups{}
	c := f.collector()
	for id := range uint64(2 * maxContainerSeries) {
		f.now = append(f.now, probes.CgroupStats{ID: id + 1, Exec: 1})
	}
	got := scrape(t, c)
	series := 0
	for k := range got {
		if strings.HasSuffix(k, ",exec}") {
			series++
		}
	}
	if series > maxContainerSeries+1 {
		t.Errorf("%d containers have series, want at most %d and other", series, maxContainerSeries)
	}
	check(t, got, map[string]float64{"container_events_total{other,,exec}": maxContainerSeries})
}

func TestSyscallsBeyondTheBoundAreCountedUnderOther(t *testing.T) {
	f := &fakeGroups{}
	c := f.collector()
	for id := range uint64(100) {
		calls := make([]uint64, 64)
		for nr := range calls {
			calls[nr] = 1
		}
		f.now = append(f.now, probes.CgroupStats{ID: id + 1, Syscalls: calls})
	}
	got := scrape(t, c)
	series, sum := 0, 0.0
	for k, v := range got {
		if strings.HasPrefix(k, "container_syscalls_total") {
			series++
			sum += v
		}
	}
	if series > maxSyscallSeries+maxContainerSeries {
		t.Errorf("%d series", series)
	}
	if sum != 6400 {
		t.Errorf("%v calls are counted, want 6400", sum)
	}
}

func TestAContainerThatIsGoneIsForgottenAndTheHostIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeGroups{now: []probes.CgroupStats{{ID: 1, Exec: 3, Syscalls: []uint64{1}}, {ID: 2, Exec: 5, Syscalls: []uint64{1}, Removed: true}}}
		c := f.collector()
		scrape(t, c)
		f.now = nil
		time.Sleep(keepContainer)
		check(t, scrape(t, c), map[string]float64{"container_events_total{000000000002,name2,exec}": 5})
		time.Sleep(time.Second)
		got := scrape(t, c)
		for k := range got {
			if strings.Contains(k, "000000000002") {
				t.Errorf("%s is still there", k)
			}
		}
		check(t, got, map[string]float64{"container_events_total{,,exec}": 3})
		if len(c.pairs) != 1 {
			t.Errorf("%d pairs of container and syscall are kept, want the host's", len(c.pairs))
		}
	})
}

func TestAContainerIsNamedAfterItsLastCounts(t *testing.T) {
	name := ""
	f := &fakeGroups{now: []probes.CgroupStats{{ID: 2, Exec: 3, Removed: true}}}
	c := newContainerCollector(func() ([]probes.CgroupStats, error) { return f.now, f.err },
		func(uint64) *event.Container { return &event.Container{ID: "000000000002-and-more", Name: name} })
	scrape(t, c)
	f.now, name = nil, "late"
	if n := scrape(t, c)["container_events_total{000000000002,late,exec}"]; n != 3 {
		t.Errorf("%v execs under the name that came late", n)
	}
}
