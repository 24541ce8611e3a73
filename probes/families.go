package probes

import (
	"eunomia/bpf"
	"eunomia/event"

	"github.com/cilium/ebpf"
)

// family is one object of package bpf.
type family struct {
	name  string
	spec  func() (*ebpf.CollectionSpec, error)
	hooks []hook
}

// hook is a program and the kinds that need it. A hook that is only tail-called
// has handler set; the calls table says for which calls.
type hook struct {
	program string
	kinds   event.KindSet
	handler bool
}

// The order is the order of attaching: processes first, so that what a new
// process does is not seen before its fork.
var families = []family{
	{"process", bpf.LoadProcess, []hook{
		{program: bpf.ProcessProgSchedProcessFork, kinds: event.SetOf(event.Fork)},
		{program: bpf.ProcessProgSchedProcessExec, kinds: event.SetOf(event.Exec)},
		{program: bpf.ProcessProgSchedProcessExit, kinds: event.SetOf(event.Exit)},
	}},
	{"cgroup", bpf.LoadCgroup, []hook{
		{program: bpf.CgroupProgCgroupMkdir, kinds: event.SetOf(event.CgroupMake)},
		{program: bpf.CgroupProgCgroupRmdir, kinds: event.SetOf(event.CgroupRemove)},
	}},
	{"file", bpf.LoadFile, []hook{
		{program: bpf.FileProgHandleOpen, kinds: event.SetOf(event.Open), handler: true},
	}},
	{"network", bpf.LoadNetwork, []hook{
		{program: bpf.NetworkProgHandleConnect, kinds: event.SetOf(event.Connect), handler: true},
		{program: bpf.NetworkProgHandleFastopen, kinds: event.SetOf(event.Connect), handler: true},
		{program: bpf.NetworkProgHandleAccept, kinds: event.SetOf(event.Accept), handler: true},
		{program: bpf.NetworkProgHandleBind, kinds: event.SetOf(event.Bind), handler: true},
		{program: bpf.NetworkProgHandleListen, kinds: event.SetOf(event.Listen), handler: true},
	}},
	{"syscalls", bpf.LoadSyscalls, []hook{
		{program: bpf.SyscallsProgSysExit, kinds: syscallKinds()},
	}},
}

// wanted tells whether the options need the hook.
func (h hook) wanted(o Options) bool {
	if h.program == bpf.SyscallsProgSysExit && !o.NoCounters {
		return true
	}
	return h.kinds&o.Kinds != 0
}

// sharedMaps are one each for all families; see bpf/include/maps.h, stats.h and
// call.h. The other maps belong to their family.
var sharedMaps = []string{
	bpf.ProcessMapLedgers,
	bpf.ProcessMapRingPriority,
	bpf.ProcessMapRingBulk,
	bpf.SyscallsMapCgroupStats,
	bpf.SyscallsMapCgroupZero,
	bpf.SyscallsMapCalls,
	bpf.SyscallsMapHandlers,
}
