/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The absolute path of a dentry, as the process whose root is given sees it:
 * walked upwards over parents and mount points and written backwards.
 */
#ifndef EUNOMIA_PATH_H
#define EUNOMIA_PATH_H

#define PATH_SIZE 4096
#define PATH_COMPONENTS 256
#define NAME_MASK 255

/*
 * The state lies in the map value, not on the stack: what is loaded from a map is
 * an unknown number to the verifier, so the iterations' states converge and the
 * cost stays linear. On the stack even 32 iterations exceed a million steps.
 */
struct path_walk {
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *root_dentry;
	struct vfsmount *root_mount;
	__u32 offset;
	__u32 flags;
};

struct path_buffer {
	char bytes[PATH_SIZE + NAME_MASK + 1];	/* the excess satisfies the verifier */
	struct path_walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct path_buffer);
} path_buffers SEC(".maps");

static __always_inline struct path_buffer *path_buffer(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&path_buffers, &zero);
}

struct parent_and_name {
	struct dentry *parent;
	__u64 hash_len;
	const unsigned char *name;
};

static __always_inline int read_parent_and_name(struct dentry *dentry, struct parent_and_name *out)
{
	/* Neighbours in every kernel up to 7.3, but nothing promises it. */
	const bool adjacent = bpf_core_field_offset(struct dentry, d_name) ==
			      bpf_core_field_offset(struct dentry, d_parent) + sizeof(void *);

	if (!direct_reads && adjacent)
		return bpf_probe_read_kernel(out, sizeof(*out), (void *)dentry +
					     bpf_core_field_offset(struct dentry, d_parent));
	out->parent = READ(dentry, d_parent);
	out->hash_len = READ(dentry, d_name.hash_len);
	out->name = READ(dentry, d_name.name);
	return !out->parent;
}

/* Adds one component or crosses one mount; returns true at the end. */
static __always_inline bool path_step(struct path_buffer *buffer)
{
	struct path_walk *walk = &buffer->walk;
	struct dentry *dentry = TYPED(struct dentry, walk->dentry);
	struct mount *mount = TYPED(struct mount, walk->mount);
	struct parent_and_name at = {};
	__u64 vfsmount = (__u64)walk->mount + bpf_core_field_offset(struct mount, mnt);
	__u32 length;

	if (walk->dentry == walk->root_dentry && vfsmount == (__u64)walk->root_mount)
		return true;
	if ((__u64)walk->dentry == (__u64)READ(mount, mnt.mnt_root)) {
		__u64 parent = (__u64)READ(mount, mnt_parent);

		if (!parent || parent == (__u64)walk->mount) {
			walk->flags |= PATH_UNREACHED;
			return true;
		}
		walk->dentry = READ(mount, mnt_mountpoint);
		walk->mount = (struct mount *)parent;
		return false;
	}
	if (read_parent_and_name(dentry, &at)) {
		walk->flags |= PATH_FAULT;
		return true;
	}
	length = (at.hash_len >> 32) & NAME_MASK;
	if ((__u64)at.parent == (__u64)walk->dentry && length == 1) {
		walk->flags |= PATH_UNREACHED;
		return true;
	}
	if (walk->offset < length + 1) {
		walk->flags |= PATH_TRUNCATED;
		return true;
	}
	walk->offset -= length;
	if (bpf_probe_read_kernel(buffer->bytes + (walk->offset & (PATH_SIZE - 1)), length, at.name)) {
		walk->flags |= PATH_FAULT;
		return true;
	}
	walk->offset--;
	buffer->bytes[walk->offset & (PATH_SIZE - 1)] = '/';
	if ((__u64)at.parent == (__u64)walk->dentry) {
		/* A pseudo file such as a memfd is its own root. */
		walk->flags |= PATH_UNREACHED;
		return true;
	}
	walk->dentry = at.parent;
	return false;
}

/* A global function: verified once, however many callers an object has. */
__noinline int path_walk(void)
{
	struct path_buffer *buffer = path_buffer();
	int i;

	if (!buffer)
		return 0;
	for (i = 0; i < PATH_COMPONENTS; i++)
		if (path_step(buffer))
			break;
	if (i == PATH_COMPONENTS)
		buffer->walk.flags |= PATH_TRUNCATED;
	if (buffer->walk.offset == PATH_SIZE) {
		buffer->walk.offset--;
		buffer->bytes[PATH_SIZE - 1] = '/';
	}
	return 0;
}

/*
 * Resolves to bytes + *start, up to the end of PATH_SIZE; NULL if impossible.
 * The buffer is the CPU's and holds one path at a time.
 */
static __always_inline struct path_buffer *path_resolve(struct dentry *dentry, struct vfsmount *mnt,
							struct task_struct *task)
{
	struct path_buffer *buffer = path_buffer();
	struct fs_struct *fs = READ(task, fs);

	if (!buffer || !dentry)
		return 0;
	buffer->walk.dentry = dentry;
	buffer->walk.mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
	buffer->walk.root_dentry = READ(fs, root.dentry);
	buffer->walk.root_mount = READ(fs, root.mnt);
	buffer->walk.offset = PATH_SIZE;
	buffer->walk.flags = 0;
	/* Unhashed and not a root: unlinked. */
	if (!READ(dentry, d_hash.pprev) && (__u64)READ(dentry, d_parent) != (__u64)dentry)
		buffer->walk.flags |= PATH_DELETED;
	path_walk();
	return buffer;
}

#endif
