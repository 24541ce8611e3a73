/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Maps and constants that several families share: each object declares them, the
 * loader makes one of each name and gives it to all. Maps that only one family
 * uses stay in its file.
 */
#ifndef EUNOMIA_MAPS_H
#define EUNOMIA_MAPS_H

enum loss_reason { LOST_RING_FULL, LOST_MAP_FULL, LOST_READ_FAULT, LOSS_REASONS };

/* One per CPU: sequence numbers and the account of what was seen and lost. */
struct ledger {
	__u64 sequence;
	__u64 seen[RECORD_KINDS];
	__u64 lost[RECORD_KINDS][LOSS_REASONS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ledger);
} ledgers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring_priority SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} ring_bulk SEC(".maps");

/* Fill above which the reader is woken before its timer; set with the ring sizes. */
const volatile __u64 wake_priority = 1 << 17;
const volatile __u64 wake_bulk = 1 << 19;

const volatile __u32 self_tgid = 0;

static __always_inline struct ledger *ledger(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ledgers, &zero);
}

static __always_inline void count_loss(__u32 kind, enum loss_reason reason)
{
	struct ledger *l = ledger();

	if (l && kind < RECORD_KINDS)
		l->lost[kind][reason]++;
}

#endif
