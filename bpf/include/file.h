/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* File descriptors and what an inode tells. */
#ifndef EUNOMIA_FILE_H
#define EUNOMIA_FILE_H

#define OVERLAYFS_MAGIC 0x794c7630
#define FMODE_MADE (1 << 20)	/* FMODE_CREATED */

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define S_IFBLK 0060000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

static __always_inline struct file *fd_file(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = READ(task, files, fdt);
	struct file *file = 0;

	if (fd >= READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), READ(table, fd) + fd);
	return file;
}

/*
 * Which layers of an overlay hold the file. struct ovl_inode is not in vmlinux's
 * BTF where overlayfs is a module; in all kernels since 5.8 the upper dentry is
 * the pointer behind the inode, and since 6.5 the next one is the entry that
 * begins with the number of lower layers (before: the lower inode or path).
 */
static __always_inline __u8 overlay_layers(struct inode *inode)
{
	struct { void *upper; void *lower; } layers = {};
	__u32 lowers = 0;
	__u8 flags = 0;

	bpf_probe_read_kernel(&layers, sizeof(layers), (void *)inode + bpf_core_type_size(struct inode));
	if (layers.upper)
		flags |= FILE_UPPER;
	if (layers.lower && !bpf_probe_read_kernel(&lowers, sizeof(lowers), layers.lower) && lowers)
		flags |= FILE_LOWER;
	return flags;
}

static __always_inline void read_file_facts(struct file_facts *facts, struct inode *inode)
{
	struct super_block *super = READ(inode, i_sb);

	facts->inode = READ(inode, i_ino);
	facts->mode = READ(inode, i_mode);
	facts->links = READ(inode, i_nlink);
	facts->uid = READ(inode, i_uid.val);
	facts->gid = READ(inode, i_gid.val);
	facts->device = READ(super, s_dev);
	facts->magic = READ(super, s_magic);
	facts->flags = 0;
	bpf_probe_read_kernel_str(facts->filesystem, sizeof(facts->filesystem),
				  READ(super, s_type, name));
	if (facts->magic == OVERLAYFS_MAGIC)
		facts->flags |= overlay_layers(inode);
}

#endif
