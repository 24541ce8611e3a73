/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The part that all records share: who acted, and sending the record. */
#ifndef EUNOMIA_TASK_H
#define EUNOMIA_TASK_H

static __always_inline void record_begin(struct record_header *h, __u8 kind, __u16 fixed,
					 struct task_struct *task)
{
	struct task_struct *parent = READ(task, real_parent);
	struct cred *cred = READ(task, cred);

	h->fixed = fixed;
	h->kind = kind;
	h->flags = 0;
	h->cpu = bpf_get_smp_processor_id();
	h->syscall = 0;
	h->abi = ABI_NONE;
	h->padding = 0;
	h->time = bpf_ktime_get_boot_ns();
	h->ret = 0;
	h->tgid = READ(task, tgid);
	h->tid = READ(task, pid);
	h->start = READ(task, group_leader, start_boottime);
	h->parent = READ(parent, tgid);
	h->parent_start = READ(parent, group_leader, start_boottime);
	h->mount_ns = READ(task, nsproxy, mnt_ns, ns.inum);
	h->cgroup = task_cgroup_id(task);
	h->uid = READ(cred, uid.val);
	h->euid = READ(cred, euid.val);
	h->suid = READ(cred, suid.val);
	h->gid = READ(cred, gid.val);
	h->egid = READ(cred, egid.val);
	h->padding2 = 0;
	bpf_probe_read_kernel(h->comm, sizeof(h->comm), &task->comm);
	if (self_tgid && h->tgid == self_tgid)
		h->flags |= RECORD_SELF;
}

/*
 * Waking the reader costs the traced program 24 us where measured, so records are
 * left to the reader's timer unless the ring fills.
 */
#define RECORD_SEND(ring, wake, h, size)                                                           \
	({                                                                                         \
		struct ledger *__l = ledger();                                                     \
		__u64 __flags = BPF_RB_NO_WAKEUP;                                                  \
		__u32 __kind = (h)->kind & (RECORD_KINDS - 1);                                     \
		if (__l) {                                                                         \
			(h)->length = (size);                                                      \
			(h)->sequence = __l->sequence++;                                           \
			if (bpf_ringbuf_query(&(ring), BPF_RB_AVAIL_DATA) >= (wake))               \
				__flags = BPF_RB_FORCE_WAKEUP;                                     \
			if (bpf_ringbuf_output(&(ring), (h), (size), __flags))                     \
				__l->lost[__kind][LOST_RING_FULL]++;                               \
			else                                                                       \
				__l->seen[__kind]++;                                               \
		}                                                                                  \
	})

#define SEND_PRIORITY(h, size) RECORD_SEND(ring_priority, wake_priority, h, size)
#define SEND_BULK(h, size) RECORD_SEND(ring_bulk, wake_bulk, h, size)

#endif
