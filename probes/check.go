package probes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// Error says why the sensor cannot work here, and what would help.
type Error struct {
	What string
	Hint string
	Err  error // the cause, if another error was it
}

func (e *Error) Error() string { return e.What }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Report is what the kernel and the process's permissions offer.
type Report struct {
	Kernel   string // release
	Arch     string
	Features []Feature
}

// Feature is one thing that the sensor uses.
type Feature struct {
	Name     string
	OK       bool
	Required bool   // without it there is no sensor
	Detail   string // the mechanism chosen, or what is missing
	Remedy   string // empty if OK
	err      error
}

// Err returns the first required feature that is missing as an *Error, or nil.
func (r Report) Err() error {
	for _, f := range r.Features {
		if f.Required && !f.OK {
			return &Error{What: f.Name + ": " + f.Detail, Hint: f.Remedy, Err: f.err}
		}
	}
	return nil
}

// Check looks at everything that Open will need, without attaching anything.
func Check(context.Context) Report {
	r := Report{Arch: runtime.GOARCH}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		r.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	types, err := btf.LoadKernelSpec()
	r.Features = []Feature{
		checkPermissions(),
		checkBTF(err),
		checkRingBuffer(),
		checkTracing(types),
		checkDirectReads(types),
		checkLockdown(),
		checkJIT(),
		checkCgroups(types),
	}
	return r
}

func checkPermissions() Feature {
	f := Feature{Name: "permissions", Required: true}
	effective, err := effectiveCapabilities()
	switch {
	case err != nil:
		f.Detail, f.err = "cannot read own capabilities", err
		f.Remedy = "mount /proc"
	case has(effective, unix.CAP_SYS_ADMIN):
		f.OK, f.Detail = true, "CAP_SYS_ADMIN"
	case has(effective, unix.CAP_BPF) && has(effective, unix.CAP_PERFMON):
		f.OK, f.Detail = true, "CAP_BPF and CAP_PERFMON"
	default:
		f.Detail = "loading BPF programs needs root"
		f.Remedy = "run as root (sudo), or grant CAP_BPF and CAP_PERFMON, and CAP_SYS_RESOURCE before Linux 5.11"
		f.err = unix.EPERM
	}
	return f
}

func effectiveCapabilities() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	var mask uint64
	_, line, ok := strings.Cut(string(status), "\nCapEff:\t")
	if !ok {
		return 0, errors.New("/proc/self/status has no CapEff")
	}
	_, err = fmt.Sscanf(line, "%x", &mask)
	return mask, err
}

func has(mask uint64, capability int) bool { return mask&(1<<capability) != 0 }

func checkBTF(err error) Feature {
	f := Feature{Name: "kernel type information (BTF)", Required: true}
	if err != nil {
		f.Detail, f.err = "the kernel has none", err
		f.Remedy = "use a kernel built with CONFIG_DEBUG_INFO_BTF=y: Debian 11, Ubuntu 20.10, RHEL 8.2 and later have it"
		return f
	}
	f.OK, f.Detail = true, "/sys/kernel/btf/vmlinux"
	return f
}

func checkRingBuffer() Feature {
	return supported("ring buffer", "BPF ring buffer", features.HaveMapType(ebpf.RingBuf))
}

func checkTracing(types *btf.Spec) Feature {
	f := Feature{Name: "typed tracepoints", Required: true, OK: types != nil, Detail: "tp_btf"}
	if types == nil {
		f.Detail, f.Remedy = "unknown without kernel type information", "see there"
		return f
	}
	for _, name := range []string{"sys_exit", "sched_process_exec", "sched_process_fork", "sched_process_exit", "cgroup_mkdir", "cgroup_rmdir"} {
		var t *btf.Typedef
		if err := types.TypeByName("btf_trace_"+name, &t); err != nil {
			f.OK, f.Detail, f.err = false, "the kernel lacks the tracepoint "+name, err
			f.Remedy = "use a kernel built with CONFIG_FTRACE_SYSCALLS=y and CONFIG_CGROUPS=y"
		}
	}
	return f
}

// supported turns the result of a feature probe into a required Feature.
func supported(name, mechanism string, err error) Feature {
	f := Feature{Name: name, Required: true, OK: err == nil, Detail: mechanism, err: err}
	switch {
	case errors.Is(err, ebpf.ErrNotSupported):
		f.Detail, f.Remedy = "the kernel is too old", "use Linux 5.8 or later"
	case err != nil:
		f.Detail, f.Remedy = "cannot find out: "+err.Error(), "run as root (sudo)"
	}
	return f
}

func checkDirectReads(types *btf.Spec) Feature {
	f := Feature{Name: "direct kernel reads", OK: hasDirectReads(types), Detail: "typed loads (bpf_rdonly_cast)"}
	if !f.OK {
		f.Detail = "helper reads: each event costs some 200 ns more"
		f.Remedy = "Linux 6.2 or later has them"
	}
	return f
}

// hasDirectReads tells whether the kernel has bpf_rdonly_cast (6.2).
func hasDirectReads(types *btf.Spec) bool {
	var f *btf.Func
	return types != nil && types.TypeByName("bpf_rdonly_cast", &f) == nil
}

func checkLockdown() Feature {
	f := Feature{Name: "kernel lockdown", Required: true, OK: true, Detail: "none"}
	b, err := os.ReadFile("/sys/kernel/security/lockdown")
	if err != nil {
		return f // not configured, or securityfs not mounted: loading will tell
	}
	_, mode, _ := strings.Cut(string(b), "[")
	f.Detail, _, _ = strings.Cut(mode, "]")
	if f.Detail == "confidentiality" {
		f.OK = false
		f.Detail = "confidentiality mode forbids reading kernel memory"
		f.Remedy = "boot with lockdown=integrity"
	}
	return f
}

func checkJIT() Feature {
	f := Feature{Name: "BPF compiler (JIT)", OK: true, Detail: "on"}
	b, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable")
	if err == nil && strings.TrimSpace(string(b)) == "0" {
		f.OK, f.Detail = false, "off: programs are interpreted, several times slower"
		f.Remedy = "sysctl net.core.bpf_jit_enable=1"
	}
	return f
}

func checkCgroups(types *btf.Spec) Feature {
	m, err := detectCgroups(types)
	f := Feature{Name: "control groups", OK: err == nil, Detail: m.String(), err: err}
	if err != nil {
		f.Detail, f.Remedy = err.Error(), "mount /proc and /sys/fs/cgroup; without them no container is recognized"
	}
	return f
}
