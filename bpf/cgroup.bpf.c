//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Observes control groups coming and going, so that user space knows a container's
 * group before its first process enters it.
 */
#include "include/sensor.h"

#define CGROUP_PATH 4096

struct cgroup_scratch {
	struct record_cgroup record;
	char path[CGROUP_PATH];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_scratch);
} cgroup_scratch SEC(".maps");

static __always_inline int send_cgroup(__u8 kind, struct cgroup *traced, const char *path)
{
	struct cgroup *cgroup = TYPED(struct cgroup, traced);
	int hierarchy = READ(cgroup, root, hierarchy_id);
	struct cgroup_scratch *s;
	__u32 zero = 0;
	__u64 tag = 0;
	long n;

	/* Hierarchy 0 is v2; of the v1 ones only the chosen one says something new. */
	if (hierarchy) {
		if (hierarchy != cgroup_v1_hierarchy)
			return 0;
		tag = CGROUP_V1;
	}
	s = bpf_map_lookup_elem(&cgroup_scratch, &zero);
	if (!s)
		return 0;
	record_begin(&s->record.header, kind, sizeof(s->record), current_task());
	s->record.id = READ(cgroup, kn, id) | tag;
	n = bpf_probe_read_kernel_str(s->path, sizeof(s->path), path);
	if (n < 1 || n > CGROUP_PATH) {
		s->record.header.flags |= RECORD_UNREADABLE;
		n = 1;
	}
	s->record.path_length = n - 1;
	SEND_PRIORITY(&s->record.header, sizeof(s->record) + n - 1);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	return send_cgroup(RECORD_CGROUP_MAKE, cgroup, path);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	return send_cgroup(RECORD_CGROUP_REMOVE, cgroup, path);
}
