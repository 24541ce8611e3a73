/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How the dispatcher hands a system call to its handler: normalized arguments in a
 * per-CPU map, then a tail call by class.
 */
#ifndef EUNOMIA_CALL_H
#define EUNOMIA_CALL_H

/* The loader's table of calls (probes/classes.go) names these. */
enum syscall_class {
	CLASS_NONE,
	CLASS_OPEN,
	CLASS_OPENAT,
	CLASS_OPENAT2,
	CLASS_CREAT,
	CLASS_OPEN_BY_HANDLE,
	CLASS_CONNECT,
	CLASS_ACCEPT,
	CLASS_BIND,
	CLASS_LISTEN,
	CLASS_SOCKETCALL,
	CLASS_SENDTO,		/* with MSG_FASTOPEN: they connect, too */
	CLASS_SENDMSG,
	SYSCALL_CLASSES = 64,
};

struct call {
	__u64 args[6];
	__s64 ret;
	__u16 number;
	__u8 abi;
	__u8 class;
	__u8 flags;		/* enum record_flag: whether the arguments are the caller's */
	__u8 padding[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SYSCALL_CLASSES);
	__type(key, __u32);
	__type(value, __u32);
} handlers SEC(".maps");

static __always_inline struct call *current_call(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&calls, &zero);
}

static __always_inline void record_call(struct record_header *h, struct call *call)
{
	h->ret = call->ret;
	h->syscall = call->number;
	h->abi = call->abi;
	h->flags |= call->flags;
}

#endif
