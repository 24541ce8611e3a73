package engine

import (
	"fmt"
	"testing"

	"eunomia/event"
	"eunomia/rules"
)

// benchRules returns n rules in the shape of a default pack: a third each on open
// and exec, the rest on connect and other kinds.
func benchRules(n int) *rules.Set {
	const trusted = `process.name in ["sshd", "systemd", "cron", "dockerd", "containerd", "kubelet", "apt", "dpkg", "rpm", "yum", "dnf", "snapd"]`
	shapes := []struct {
		on        event.Kind
		condition string
	}{
		{event.Open, `file.flags.write && file.path.startsWith("/etc/p%d/") && !(` + trusted + `)`},
		{event.Open, `file.flags.read && file.path in ["/etc/shadow%d", "/etc/gshadow", "/etc/sudoers", "/root/.ssh/id_rsa"] && !(` + trusted + `)`},
		{event.Open, `container.id != "" && file.name.endsWith(".so%d") && file.flags.create`},
		{event.Open, `file.path.glob("/home/*/.ssh%d/**") && file.flags.write`},
		{event.Exec, `container.id != "" && process.name in ["bash%d", "sh", "zsh", "dash"] && process.interactive`},
		{event.Exec, `process.executable.startsWith("/tmp/%d") || process.exe.memfd`},
		{event.Exec, `process.args.exists(a, a == "--token%d") && process.parent.name != "systemd"`},
		{event.Exec, `process.ancestors.exists(a, a.name == "nginx%d") && process.user.id == 0`},
		{event.Exec, `process.command_line.matches("base64 -d%d|curl .*\\| *sh")`},
		{event.Connect, `destination.port in [%d, 3333, 4444, 5555] && container.id != ""`},
		{event.Connect, `event.outcome == "success" && network.type == "ipv4" && destination.ip == "169.254.169.%d"`},
		{event.Listen, `source.port == %d && container.id != ""`},
	}
	set := &rules.Set{}
	for i := range n {
		s := shapes[i%len(shapes)]
		set.Rules = append(set.Rules, &rules.Rule{ID: fmt.Sprint("r", i), Enabled: true, On: []event.Kind{s.on}, Condition: rules.Expr{Text: fmt.Sprintf(s.condition, i)}})
	}
	return set
}

// benchEvents returns a mixed stream, 70 % open, 10 % exec, 10 % connect, 10 %
// other, in which nothing matches.
func benchEvents(b *testing.B) []*event.Event {
	parents := []any{map[string]any{"name": "make"}, map[string]any{"name": "bash"}, map[string]any{"name": "sshd"}, map[string]any{"name": "systemd"}}
	var out []*event.Event
	for i := range 1000 {
		values := map[string]any{"process.name": "cc1", "process.executable": "/usr/lib/gcc/cc1", "process.args": []any{"cc1", "-quiet", "-O2", fmt.Sprint(i, ".c")},
			"process.ancestors": parents, "process.user.id": 1000}
		if i%3 == 0 {
			values["container.id"] = "4f1c"
		}
		switch i % 10 {
		case 0:
			values["event.kind"] = "exec"
		case 1:
			values["event.kind"], values["destination.ip"], values["destination.port"], values["network.type"] = "connect", "10.0.0.7", 443, "ipv4"
		case 2:
			values["event.kind"] = "exit"
		default:
			values["event.kind"], values["file.path"], values["file.flags.read"] = "open", fmt.Sprintf("/usr/include/linux/h%d.h", i), true
		}
		out = append(out, testEvents(b, values))
	}
	return out
}

func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{100, 1000} {
		p, found := Compile(benchRules(n), Limits{})
		if len(found) > 0 {
			b.Fatalf("%+v", found)
		}
		events := benchEvents(b)
		b.Run(fmt.Sprintf("%d_rules", n), func(b *testing.B) {
			x := New(p)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if m, _ := x.Evaluate(events[i%len(events)]); len(m) > 0 {
					b.Fatal(m[0].Rule.Info.ID)
				}
				i++
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	environment()
	set := benchRules(100)
	b.ReportAllocs()
	for b.Loop() {
		Compile(set, Limits{})
	}
}
