package probes

import (
	"eunomia/bpf"
	"eunomia/event"
)

//go:generate sh syscalls.sh

// call tells what happens at the exit of the system call of that name: the class
// that its handler is found by, if it makes an event, and what it adds to the raw
// metrics of its control group. The names are those of any entry convention.
type call struct {
	name    string
	kind    event.Kind
	class   bpf.SyscallsSyscallClass
	handler string
	counter bpf.SyscallsCgroupCounter
}

var calls = []call{
	{"open", event.Open, bpf.SyscallsSyscallClassCLASS_OPEN, bpf.FileProgHandleOpen, countOpen},
	{"openat", event.Open, bpf.SyscallsSyscallClassCLASS_OPENAT, bpf.FileProgHandleOpen, countOpen},
	{"openat2", event.Open, bpf.SyscallsSyscallClassCLASS_OPENAT2, bpf.FileProgHandleOpen, countOpen},
	{"creat", event.Open, bpf.SyscallsSyscallClassCLASS_CREAT, bpf.FileProgHandleOpen, countOpen},
	{"open_by_handle_at", event.Open, bpf.SyscallsSyscallClassCLASS_OPEN_BY_HANDLE, bpf.FileProgHandleOpen, countOpen},
	{"connect", event.Connect, bpf.SyscallsSyscallClassCLASS_CONNECT, bpf.NetworkProgHandleConnect, countConnect},
	{"accept", event.Accept, bpf.SyscallsSyscallClassCLASS_ACCEPT, bpf.NetworkProgHandleAccept, countAccept},
	{"accept4", event.Accept, bpf.SyscallsSyscallClassCLASS_ACCEPT, bpf.NetworkProgHandleAccept, countAccept},
	{"bind", event.Bind, bpf.SyscallsSyscallClassCLASS_BIND, bpf.NetworkProgHandleBind, 0},
	{"listen", event.Listen, bpf.SyscallsSyscallClassCLASS_LISTEN, bpf.NetworkProgHandleListen, 0},
	{"sendto", event.Connect, bpf.SyscallsSyscallClassCLASS_SENDTO, bpf.NetworkProgHandleFastopen, countWrite},
	{"sendmmsg", event.Connect, bpf.SyscallsSyscallClassCLASS_SENDTO, bpf.NetworkProgHandleFastopen, 0},
	{"sendmsg", event.Connect, bpf.SyscallsSyscallClassCLASS_SENDMSG, bpf.NetworkProgHandleFastopen, countWrite},
	{name: "read", counter: countRead},
	{name: "pread64", counter: countRead},
	{name: "readv", counter: countRead},
	{name: "preadv", counter: countRead},
	{name: "preadv2", counter: countRead},
	{name: "recvfrom", counter: countRead},
	{name: "recvmsg", counter: countRead},
	{name: "write", counter: countWrite},
	{name: "pwrite64", counter: countWrite},
	{name: "writev", counter: countWrite},
	{name: "pwritev", counter: countWrite},
	{name: "pwritev2", counter: countWrite},
	{name: "sendfile", counter: countWrite},
	{name: "sendfile64", counter: countWrite},
	{name: "splice", counter: countWrite},
}

const (
	countOpen    = bpf.SyscallsCgroupCounterCOUNT_OPEN
	countConnect = bpf.SyscallsCgroupCounterCOUNT_CONNECT
	countAccept  = bpf.SyscallsCgroupCounterCOUNT_ACCEPT
	countRead    = bpf.SyscallsCgroupCounterCOUNT_READ
	countWrite   = bpf.SyscallsCgroupCounterCOUNT_WRITE
)

// socketCalls are the kinds that may hide in the 32-bit socketcall(2).
var socketCalls = event.SetOf(event.Connect, event.Accept, event.Bind, event.Listen)

const slots = len(nativeCalls)

// callTables returns, per number, the classes and counters of the native calls
// followed by those of the compat entry. A kind that nobody wants has no class.
func callTables(kinds event.KindSet) (classes, counters [2 * slots]uint8) {
	rows := map[string]call{}
	for _, c := range calls {
		rows[c.name] = c
	}
	for half, names := range [][slots]string{nativeCalls, compatCalls} {
		for n, name := range names {
			c := rows[name]
			counters[half*slots+n] = uint8(c.counter)
			if kinds.Has(c.kind) {
				classes[half*slots+n] = uint8(c.class)
			}
			if name == "socketcall" && kinds&socketCalls != 0 {
				classes[half*slots+n] = uint8(bpf.SyscallsSyscallClassCLASS_SOCKETCALL)
			}
		}
	}
	return classes, counters
}

// syscallKinds returns the kinds that come from system calls.
func syscallKinds() event.KindSet {
	var kinds event.KindSet
	for _, c := range calls {
		if c.kind != event.KindNone {
			kinds |= event.SetOf(c.kind)
		}
	}
	return kinds
}

// The entry conventions, as in bpf/include/record.h.
const (
	abiNone   = uint8(bpf.ProcessSyscallAbiABI_NONE)
	abiNative = uint8(bpf.ProcessSyscallAbiABI_NATIVE)
	abiCompat = uint8(bpf.ProcessSyscallAbiABI_COMPAT)
	abiX32    = uint8(bpf.ProcessSyscallAbiABI_X32)
)

// callName returns the name of a system call, "unknown" where the tables have none.
func callName(abi uint8, number uint16) string {
	names := &nativeCalls
	if abi == abiCompat {
		names = &compatCalls
	}
	if int(number) >= len(names) || names[number] == "" {
		return "unknown"
	}
	return names[number]
}
