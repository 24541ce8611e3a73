package main

import (
	"bytes"
	"fmt"

	"eunomia/engine"
	"eunomia/event"
	"eunomia/rules"
)

// shapes are the conditions of the rule pack that the engine is measured with, in
// the proportions of a default pack: a third each on open and exec, the rest on
// connections and listeners. %d is the rule's number, so that no two are alike.
var shapes = []struct{ on, condition string }{
	{"open", `file.flags.write && file.path.startsWith("/etc/p%d/") && !trusted`},
	{"open", `file.flags.read && file.path in ["/etc/shadow%d", "/etc/gshadow", "/etc/sudoers", "/root/.ssh/id_rsa"] && !trusted`},
	{"open", `container.id != "" && file.name.endsWith(".so%d") && file.flags.create`},
	{"open", `file.path.glob("/home/*/.ssh%d/**") && file.flags.write`},
	{"exec", `container.id != "" && process.name in ["bash%d", "sh", "zsh", "dash"] && process.interactive`},
	{"exec", `process.executable.startsWith("/tmp/%d") || process.exe.memfd`},
	{"exec", `process.args.exists(a, a == "--token%d") && process.parent.name != "systemd"`},
	{"exec", `process.ancestors.exists(a, a.name == "nginx%d") && process.user.id == 0`},
	{"exec", `process.command_line.matches("base64 -d%d|curl .*\\| *sh")`},
	{"connect", `destination.port in [%d, 3333, 4444, 5555] && container.id != ""`},
	{"connect", `event.outcome == "success" && network.type == "ipv4" && destination.ip == "169.254.169.%d"`},
	{"listen", `source.port == %d && container.id != ""`},
}

// packSource writes a rule file of n rules.
func packSource(n int) []byte {
	b := bytes.NewBufferString(`macros:
  trusted: process.name in ["sshd", "systemd", "cron", "dockerd", "containerd", "kubelet", "apt", "dpkg", "rpm", "yum", "dnf", "snapd"]
rules:
`)
	for i := range n {
		s := shapes[i%len(shapes)]
		fmt.Fprintf(b, `  - id: bench_%d
    title: Rule %[1]d of the benchmark
    description: One of many, so that their number can be felt.
    on: [%s]
    condition: '%s'
    message: "{process.name} did it"
    severity: medium
`, i, s.on, fmt.Sprintf(s.condition, i))
	}
	return b.Bytes()
}

// loadPack reads, checks and compiles n rules, as the detector does when it starts.
func loadPack(n int) (*engine.Program, error) {
	set, found := rules.LoadSources([]rules.Source{{Name: "pack.yaml", Data: packSource(n)}}, rules.Options{})
	p, more := engine.Compile(set, engine.Limits{})
	for _, d := range append(found, more...) {
		if !d.Warning {
			return nil, fmt.Errorf("the benchmark's rules have mistakes: %s: %s", d.Pos, d.Message)
		}
	}
	if got := len(p.Rules()); got != n {
		return nil, fmt.Errorf("%d of %d rules were loaded", got, n)
	}
	return p, nil
}

// packEvents is a mixed stream, 70 % opens, 10 % each of executions, connections
// and exits, in which no rule of the pack matches.
func packEvents() ([]*event.Event, error) {
	ancestors := []any{map[string]any{"name": "make"}, map[string]any{"name": "bash"}, map[string]any{"name": "sshd"}, map[string]any{"name": "systemd"}}
	var out []*event.Event
	for i := range 1000 {
		values := map[string]any{"process.name": "cc1", "process.executable": "/usr/lib/gcc/cc1", "process.args": []any{"cc1", "-quiet", "-O2", fmt.Sprint(i, ".c")},
			"process.ancestors": ancestors, "process.user.id": 1000}
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
		e, errs := event.FromFields(values)
		if len(errs) > 0 {
			return nil, fmt.Errorf("make the benchmark's events: %w", errs[0])
		}
		out = append(out, e)
	}
	return out, nil
}
