/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Raw metrics, added up in the kernel and read at scrape: no event per call. Each
 * CPU counts for itself.
 */
#ifndef EUNOMIA_STATS_H
#define EUNOMIA_STATS_H

#define SYSCALL_SLOTS 512

enum cgroup_counter {
	COUNT_NOTHING,
	COUNT_EXEC,
	COUNT_FORK,
	COUNT_EXIT,
	COUNT_OPEN,
	COUNT_CONNECT,
	COUNT_ACCEPT,
	COUNT_READ,		/* from here on: bytes, from the return value */
	COUNT_WRITE,
	CGROUP_COUNTERS,
};

struct cgroup_totals {
	__u64 counters[CGROUP_COUNTERS];
	__u64 syscalls[SYSCALL_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct cgroup_totals);
} cgroup_stats SEC(".maps");

/* What a new entry starts as: too large for the stack, never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_totals);
} cgroup_zero SEC(".maps");

const volatile bool count_cgroups = true;

/* The group's counters; when the map is full, those of "other", key 0. */
static __always_inline struct cgroup_totals *cgroup_counters(__u64 id)
{
	struct cgroup_totals *stats = bpf_map_lookup_elem(&cgroup_stats, &id), *none;
	__u32 zero = 0;
	__u64 other = 0;

	if (stats)
		return stats;
	none = bpf_map_lookup_elem(&cgroup_zero, &zero);
	if (!none)
		return 0;
	if (!bpf_map_update_elem(&cgroup_stats, &id, none, BPF_NOEXIST) ||
	    (stats = bpf_map_lookup_elem(&cgroup_stats, &id)))
		return stats ? stats : bpf_map_lookup_elem(&cgroup_stats, &id);
	count_loss(RECORD_NONE, LOST_MAP_FULL);
	return bpf_map_lookup_elem(&cgroup_stats, &other);
}

static __always_inline void count_act(struct task_struct *task, enum cgroup_counter counter)
{
	struct cgroup_totals *stats;

	if (!count_cgroups)
		return;
	stats = cgroup_counters(task_cgroup_id(task));
	if (stats)
		stats->counters[counter]++;
}

#endif
