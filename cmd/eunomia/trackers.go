package main

import (
	"strconv"
	"strings"
	"time"

	"eunomia/event"
)

// tracker is a family of events that `eunomia run` shows.
type tracker struct {
	name    string
	doc     string
	kinds   event.KindSet
	columns []column
}

// column is one column of a tracker's table and CSV.
type column struct {
	title string
	width int // on a terminal; the last column is as wide as it likes
	value func(*event.Event) string
}

// trackers lists what `eunomia run` can show.
var trackers = []tracker{
	{name: "process", doc: "programs executed, processes created and ended",
		kinds: event.SetOf(event.Exec, event.Fork, event.Exit),
		columns: []column{
			timeColumn, kindColumn, pidColumn,
			{"PPID", 7, func(e *event.Event) string { return strconv.Itoa(int(e.Process.Parent().PID)) }},
			userColumn, nameColumn, containerColumn,
			{"DETAIL", 0, processDetail},
		}},
	{name: "files", doc: "files opened, and attempts that failed",
		kinds: event.SetOf(event.Open),
		columns: []column{
			timeColumn, pidColumn, userColumn, nameColumn, containerColumn,
			{"FLAGS", 6, openFlags},
			resultColumn,
			{"PATH", 0, func(e *event.Event) string { return e.File.Path }},
		}},
	{name: "network", doc: "sockets connected, accepted, bound and listening",
		kinds: event.SetOf(event.Connect, event.Accept, event.Bind, event.Listen),
		columns: []column{
			timeColumn, kindColumn, pidColumn, userColumn, nameColumn, containerColumn,
			{"PROTO", 11, func(e *event.Event) string { return protocol(e) }},
			resultColumn,
			{"SOURCE", 24, func(e *event.Event) string { return endpoint(e.Network.Source) }},
			{"DESTINATION", 0, destination},
		}},
}

var (
	timeColumn = column{"TIME", 12, func(e *event.Event) string { return time.Unix(0, e.Time).Format("15:04:05.000") }}
	kindColumn = column{"KIND", 7, func(e *event.Event) string { return e.Kind.String() }}
	pidColumn  = column{"PID", 7, func(e *event.Event) string { return strconv.Itoa(int(e.Task.PID)) }}
	nameColumn = column{"NAME", 18, func(e *event.Event) string { return e.Process.Image.Name }}
	userColumn = column{"USER", 8, func(e *event.Event) string {
		if e.Users.Effective != "" {
			return e.Users.Effective
		}
		return strconv.FormatUint(uint64(e.Task.EUID), 10)
	}}
	containerColumn = column{"CONTAINER", 18, func(e *event.Event) string {
		switch {
		case e.Container == nil || e.Container.ID == "":
			return "-"
		case e.Container.Name != "":
			return e.Container.Name
		}
		return short(e.Container)
	}}
	resultColumn = column{"RESULT", 13, func(e *event.Event) string {
		if e.Failed() || e.Undecided() {
			return event.ErrnoName(-e.Return)
		}
		return "ok"
	}}
)

func processDetail(e *event.Event) string {
	switch e.Kind {
	case event.Exec:
		return e.Process.Image.CommandLine
	case event.Exit:
		if e.Exit.Signal != 0 {
			return "signal " + strconv.Itoa(int(e.Exit.Signal))
		}
		return "status " + strconv.Itoa(int(e.Exit.Code))
	default:
		return "by " + e.Process.Parent().Image.Name
	}
}

func openFlags(e *event.Event) string {
	var b strings.Builder
	for _, f := range []struct {
		bit    event.OpenFlags
		letter byte
	}{{event.OpenRead, 'r'}, {event.OpenWrite, 'w'}, {event.OpenAppend, 'a'}, {event.OpenCreate, 'c'}, {event.OpenTruncate, 't'}, {event.OpenPath, 'p'}} {
		if e.File.Open&f.bit != 0 {
			b.WriteByte(f.letter)
		}
	}
	return b.String()
}

func protocol(e *event.Event) string {
	if e.Network.Family == event.FamilyUnix {
		return e.Network.Transport.String()
	}
	return strings.TrimSpace(e.Network.Transport.String() + " " + e.Network.Family.String())
}

func endpoint(p event.Endpoint) string {
	ip := event.FormatIP(p.IP)
	if ip == "" {
		return "-"
	}
	if strings.Contains(ip, ":") {
		ip = "[" + ip + "]"
	}
	return ip + ":" + strconv.Itoa(int(p.Port))
}

func destination(e *event.Event) string {
	if e.Network.UnixPath != "" {
		return e.Network.UnixPath
	}
	return endpoint(e.Network.Dest)
}
