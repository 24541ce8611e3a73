package eunomia_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"eunomia"
	"eunomia/engine"
	"eunomia/event"
	"eunomia/rules"
)

// load compiles the default rules and fails the test on any diagnostic, warnings
// included: users must not see mistakes that are ours.
func load(t *testing.T) (*rules.Set, *engine.Program) {
	t.Helper()
	set, found := rules.LoadSources([]rules.Source{{Name: "default_rules.yaml", Data: eunomia.DefaultRules}}, rules.Options{})
	program, more := engine.Compile(set, engine.Limits{})
	if found = append(found, more...); len(found) > 0 {
		rules.Print(os.Stderr, found)
		t.Fatalf("%d diagnostics", len(found))
	}
	return set, program
}

func TestDefaultRulesLoadWithoutDiagnostics(t *testing.T) {
	set, program := load(t)
	if n := len(set.Rules); n < 30 || n != len(program.Rules()) {
		t.Errorf("%d rules, %d compiled", n, len(program.Rules()))
	}
}

func TestDefaultRulesPassTheirTests(t *testing.T) {
	_, program := load(t)
	for _, r := range program.RunTests(time.Now()) {
		if !r.Passed {
			t.Errorf("%s: %s %q: fires is %v, but: %s", r.Pos, r.Rule, r.Name, r.Fires, r.Why)
		}
	}
}

// TestDefaultRulesKeepTheirConventions says what to write when a rule is added.
func TestDefaultRulesKeepTheirConventions(t *testing.T) {
	set, _ := load(t)
	titles := map[string]string{}
	for _, r := range set.Rules {
		complain := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s: %s: "+format, append([]any{r.Pos, r.ID}, args...)...)
		}
		if other, twice := titles[r.Title]; twice {
			complain("has the title of %s", other)
		}
		titles[r.Title] = r.ID
		if n := len(strings.Fields(r.Description)); n < 10 || n > 60 || !strings.HasSuffix(r.Description, ".") {
			complain("write a description of one or two sentences: why it matters")
		}
		if !slices.ContainsFunc(r.Message.Parts, func(p rules.MessagePart) bool { return p.Expr.Text != "" }) {
			complain("the message names no field")
		}
		if len(r.Attack) == 0 {
			complain("add attack: the ids of its ATT&CK techniques")
		}
		for _, id := range r.Attack {
			if techniques[id] == "" {
				complain("%s is not in the table of techniques of this test; look it up and add it", id)
			}
		}
		if !slices.ContainsFunc(r.Tags, func(tag string) bool { return tactics[tag] }) {
			complain("no tag is a tactic")
		}
		if !slices.Contains(r.Tags, "host") && !slices.Contains(r.Tags, "container") {
			complain("tag it host, container or both")
		}
		if len(r.Extra.FalsePositives) == 0 {
			complain("add false_positives: when does it fire though nothing is wrong?")
		}
		fires := func(x rules.Test) bool { return x.Fires }
		silent := func(x rules.Test) bool { return !x.Fires }
		if !slices.ContainsFunc(r.Tests, fires) || !slices.ContainsFunc(r.Tests, silent) {
			complain("add tests of both sorts: fires and silent")
		}
		if !r.Enabled {
			complain("a default rule that is not enabled protects nobody")
		}
	}
	for id := range techniques {
		if !slices.ContainsFunc(set.Rules, func(r *rules.Rule) bool { return slices.Contains(r.Attack, id) }) {
			t.Errorf("no rule has technique %s (%s): remove it from the table", id, techniques[id])
		}
	}
}

// TestEveryExceptionOfTheDefaultRulesIsTested removes one exception at a time: a
// silent test must then fail.
func TestEveryExceptionOfTheDefaultRulesIsTested(t *testing.T) {
	set, _ := load(t)
	for _, r := range set.Rules {
		for i, x := range r.Exceptions {
			without := *r
			without.Exceptions = slices.Delete(slices.Clone(r.Exceptions), i, i+1)
			program, found := engine.Compile(&rules.Set{Rules: []*rules.Rule{&without}}, engine.Limits{})
			if len(found) > 0 {
				t.Fatal(found)
			}
			if !slices.ContainsFunc(program.RunTests(time.Now()), func(r engine.TestResult) bool { return !r.Passed }) {
				t.Errorf("%s: no silent test of %s needs the exception %s", x.Pos, r.ID, x.Name)
			}
		}
	}
}

// TestDefaultRulesAreSilentOnEmptyEvents guards against conditions that hold where
// nothing is known.
func TestDefaultRulesAreSilentOnEmptyEvents(t *testing.T) {
	_, program := load(t)
	x := engine.New(program)
	for _, k := range event.AllKinds.Kinds() {
		for _, id := range []string{"", "4f1c2a9b7d3e"} {
			e := event.New(k)
			e.Container.ID = id
			matches, _ := x.Evaluate(e)
			for _, m := range matches {
				t.Errorf("%s matches an empty %s event (container %q)", m.Rule.Info.ID, k, id)
			}
		}
	}
}

var tactics = map[string]bool{
	"execution": true, "persistence": true, "privilege-escalation": true, "defense-evasion": true, "credential-access": true,
	"discovery": true, "lateral-movement": true, "collection": true, "command-and-control": true, "exfiltration": true, "impact": true,
}

// techniques names the ATT&CK techniques (Enterprise and Containers) that the default
// rules refer to, so that an id that does not exist is noticed.
var techniques = map[string]string{
	"T1003":     "OS Credential Dumping",
	"T1003.007": "Proc Filesystem",
	"T1003.008": "/etc/passwd and /etc/shadow",
	"T1005":     "Data from Local System",
	"T1006":     "Direct Volume Access",
	"T1014":     "Rootkit",
	"T1018":     "Remote System Discovery",
	"T1021.004": "Remote Services: SSH",
	"T1027":     "Obfuscated Files or Information",
	"T1033":     "System Owner/User Discovery",
	"T1036.004": "Masquerade Task or Service",
	"T1036.005": "Match Legitimate Resource Name or Location",
	"T1036.011": "Overwrite Process Arguments",
	"T1037.004": "RC Scripts",
	"T1040":     "Network Sniffing",
	"T1041":     "Exfiltration Over C2 Channel",
	"T1046":     "Network Service Discovery",
	"T1048":     "Exfiltration Over Alternative Protocol",
	"T1048.003": "Exfiltration Over Unencrypted Non-C2 Protocol",
	"T1053.002": "Scheduled Task/Job: At",
	"T1053.003": "Scheduled Task/Job: Cron",
	"T1053.006": "Systemd Timers",
	"T1055.008": "Ptrace System Calls",
	"T1055.009": "Proc Memory",
	"T1057":     "Process Discovery",
	"T1059":     "Command and Scripting Interpreter",
	"T1059.004": "Unix Shell",
	"T1059.006": "Python",
	"T1068":     "Exploitation for Privilege Escalation",
	"T1070.002": "Clear Linux or Mac System Logs",
	"T1070.003": "Clear Command History",
	"T1070.004": "File Deletion",
	"T1070.006": "Timestomp",
	"T1071":     "Application Layer Protocol",
	"T1072":     "Software Deployment Tools",
	"T1078.003": "Local Accounts",
	"T1082":     "System Information Discovery",
	"T1083":     "File and Directory Discovery",
	"T1090":     "Proxy",
	"T1090.003": "Multi-hop Proxy",
	"T1095":     "Non-Application Layer Protocol",
	"T1098":     "Account Manipulation",
	"T1098.004": "SSH Authorized Keys",
	"T1105":     "Ingress Tool Transfer",
	"T1136.001": "Create Account: Local Account",
	"T1140":     "Deobfuscate/Decode Files or Information",
	"T1190":     "Exploit Public-Facing Application",
	"T1195.001": "Compromise Software Dependencies and Development Tools",
	"T1195.002": "Compromise Software Supply Chain",
	"T1204.002": "Malicious File",
	"T1205":     "Traffic Signaling",
	"T1218":     "System Binary Proxy Execution",
	"T1222.002": "Linux and Mac File and Directory Permissions Modification",
	"T1485":     "Data Destruction",
	"T1489":     "Service Stop",
	"T1490":     "Inhibit System Recovery",
	"T1496":     "Resource Hijacking",
	"T1497":     "Virtualization/Sandbox Evasion",
	"T1505.001": "SQL Stored Procedures",
	"T1505.003": "Web Shell",
	"T1525":     "Implant Internal Image",
	"T1528":     "Steal Application Access Token",
	"T1529":     "System Shutdown/Reboot",
	"T1542":     "Pre-OS Boot",
	"T1543":     "Create or Modify System Process",
	"T1543.002": "Systemd Service",
	"T1546":     "Event Triggered Execution",
	"T1546.004": "Unix Shell Configuration Modification",
	"T1546.016": "Installer Packages",
	"T1546.017": "Udev Rules",
	"T1547.006": "Kernel Modules and Extensions",
	"T1547.013": "XDG Autostart Entries",
	"T1548.001": "Setuid and Setgid",
	"T1548.003": "Sudo and Sudo Caching",
	"T1552":     "Unsecured Credentials",
	"T1552.001": "Credentials In Files",
	"T1552.004": "Private Keys",
	"T1552.005": "Cloud Instance Metadata API",
	"T1552.007": "Container API",
	"T1554":     "Compromise Host Software Binary",
	"T1556":     "Modify Authentication Process",
	"T1556.003": "Pluggable Authentication Modules",
	"T1560.001": "Archive via Utility",
	"T1561.001": "Disk Content Wipe",
	"T1561.002": "Disk Structure Wipe",
	"T1562.001": "Disable or Modify Tools",
	"T1562.003": "Impair Command History Logging",
	"T1562.004": "Disable or Modify System Firewall",
	"T1562.012": "Disable or Modify Linux Audit System",
	"T1564":     "Hide Artifacts",
	"T1564.001": "Hidden Files and Directories",
	"T1567":     "Exfiltration Over Web Service",
	"T1570":     "Lateral Tool Transfer",
	"T1571":     "Non-Standard Port",
	"T1572":     "Protocol Tunneling",
	"T1574.006": "Dynamic Linker Hijacking",
	"T1574.007": "Path Interception by PATH Environment Variable",
	"T1609":     "Container Administration Command",
	"T1610":     "Deploy Container",
	"T1611":     "Escape to Host",
	"T1613":     "Container and Resource Discovery",
	"T1620":     "Reflective Code Loading",
}
