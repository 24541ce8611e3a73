/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The control group that names a task's container: its group in one chosen v1
 * hierarchy when it has left the root there, else its v2 group. Ids of the two can
 * collide, so v1 ids carry bit 63.
 */
#ifndef EUNOMIA_CGROUP_H
#define EUNOMIA_CGROUP_H

#define CGROUP_V1 (1ULL << 63)
#define CGROUP_LEVELS 10

const volatile bool cgroup_v1 = false;
const volatile __u32 cgroup_v1_subsystem = 0;	/* index in css_set.subsys */
const volatile __s32 cgroup_v1_hierarchy = -1;

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___6_15 *newer = (void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return READ(newer, __parent);
	return READ(node, parent);
}

static __always_inline struct kernfs_node *v1_node(struct css_set *set)
{
	const __u32 index = cgroup_v1_subsystem & 15;
	struct cgroup_subsys_state *state = 0;

	if (direct_reads)
		state = set->subsys[index];
	else
		bpf_probe_read_kernel(&state, sizeof(state), &set->subsys[index]);
	return READ(state, cgroup, kn);
}

/* The group's node, and in *tag the bit that marks its hierarchy. */
static __always_inline struct kernfs_node *task_cgroup(struct task_struct *task, __u64 *tag)
{
	struct css_set *set = READ(task, cgroups);

	if (cgroup_v1) {
		struct kernfs_node *node = v1_node(set);

		if (node && kernfs_parent(node)) {
			*tag = CGROUP_V1;
			return node;
		}
	}
	*tag = 0;
	return READ(set, dfl_cgrp, kn);
}

static __always_inline __u64 task_cgroup_id(struct task_struct *task)
{
	__u64 tag;
	struct kernfs_node *node = task_cgroup(task, &tag);

	return READ(node, id) | tag;
}

#endif
