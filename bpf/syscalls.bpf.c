//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Observes the exit of every system call, once: counts it, and hands the calls that
 * some kind of event needs to their handler. At the exit, arguments and result are
 * visible together and the kernel's objects are final.
 */
#include "include/sensor.h"
#include "include/arch.h"
#include "include/stats.h"
#include "include/call.h"

/* Native calls, then those of the compat entry; indexed by number. Written before loading. */
const volatile __u8 syscall_classes[2 * SYSCALL_SLOTS] = {};
const volatile __u8 syscall_counters[2 * SYSCALL_SLOTS] = {};	/* enum cgroup_counter */

const volatile bool count_syscalls = true;

struct syscall_totals {
	__u64 calls[2 * SYSCALL_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct syscall_totals);
} syscall_counts SEC(".maps");

#define MSG_FASTOPEN 0x20000000

/* bpf2go finds types by way of variables. */
const enum syscall_class *unused_class __attribute__((unused));
const enum cgroup_counter *unused_counter __attribute__((unused));

static __always_inline void count_call(struct task_struct *task, __u32 slot, long ret)
{
	__u8 counter = syscall_counters[slot];
	struct cgroup_totals *stats;

	stats = cgroup_counters(task_cgroup_id(task));
	if (!stats)
		return;
	/* Compat numbers mean other calls: they are counted by name in the global table only. */
	if (slot < SYSCALL_SLOTS)
		stats->syscalls[slot]++;
	if (counter == COUNT_NOTHING || counter >= CGROUP_COUNTERS)
		return;
	if (counter < COUNT_READ)
		stats->counters[counter]++;
	else if (ret > 0)
		stats->counters[counter] += ret;
}

/* socketcall(2): which call, and a block of 32-bit arguments in user memory. */
static __always_inline void unpack_socketcall(struct call *call)
{
	static const __u8 classes[32] = {
		[2] = CLASS_BIND, [3] = CLASS_CONNECT, [4] = CLASS_LISTEN,
		[5] = CLASS_ACCEPT, [18] = CLASS_ACCEPT,
	};
	__u32 args[3] = {};

	call->class = classes[call->args[0] & 31];
	if (!call->class)
		return;
	call->flags |= RECORD_USER;
	if (bpf_probe_read_user(args, sizeof(args), (void *)call->args[1]))
		call->flags |= RECORD_UNREADABLE;
	call->args[0] = args[0];
	call->args[1] = args[1];
	call->args[2] = args[2];
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = current_task();
	__u32 abi = syscall_abi(regs, task);
	__u32 number = syscall_number(regs);
	__u32 slot, zero = 0;
	struct call *call;
	__u8 class;

	/* Beyond the table: x32's own numbers, or rubbish; no call that a kind needs. */
	if (number >= SYSCALL_SLOTS)
		number = SYSCALL_SLOTS - 1;
	slot = number + (abi == ABI_COMPAT ? SYSCALL_SLOTS : 0);
	if (count_syscalls) {
		struct syscall_totals *counts = bpf_map_lookup_elem(&syscall_counts, &zero);

		if (counts)
			counts->calls[slot]++;
	}
	if (count_cgroups)
		count_call(task, slot, ret);

	class = syscall_classes[slot];
	if (!class)
		return 0;
	call = current_call();
	if (!call)
		return 0;
	syscall_args(regs, abi, call->args);
	call->ret = ret;
	call->number = number;
	call->abi = abi;
	call->class = class;
	call->flags = 0;
	if (class == CLASS_SOCKETCALL)
		unpack_socketcall(call);
	else if (class == CLASS_SENDTO && !(call->args[3] & MSG_FASTOPEN))
		return 0;
	else if (class == CLASS_SENDMSG && !(call->args[2] & MSG_FASTOPEN))
		return 0;
	bpf_tail_call(ctx, &handlers, call->class);
	return 0;
}
