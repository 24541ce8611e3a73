/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel structures that the sensor touches, and of each only the members it
 * reads. Member offsets come from the running kernel's BTF (CO-RE), so order and
 * completeness do not matter here; names and types do. A suffix ___x marks one of
 * several shapes that a structure has had over the versions.
 */
#ifndef EUNOMIA_VMLINUX_H
#define EUNOMIA_VMLINUX_H

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef __u16 __sum16;
typedef _Bool bool;
typedef int pid_t;
typedef __u32 dev_t;
typedef unsigned int fmode_t;
typedef unsigned short umode_t;

enum { false, true };

/* Numbers fixed by the user interface (linux/bpf.h). */
enum bpf_map_type {
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum { BPF_ANY, BPF_NOEXIST, BPF_EXIST };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct { int counter; } atomic_t;
typedef struct { __u32 val; } kuid_t;
typedef struct { __u32 val; } kgid_t;
typedef struct { __u64 val; } kernel_cap_t;

struct timespec64 { __s64 tv_sec; long tv_nsec; };
struct hlist_bl_node { struct hlist_bl_node *next, **pprev; };

/* Files */
struct qstr {
	union {
		struct { __u32 hash; __u32 len; };
		__u64 hash_len;
	};
	const unsigned char *name;
};
struct file_system_type { const char *name; };
struct super_block {
	dev_t s_dev;
	unsigned long s_magic;
	struct file_system_type *s_type;
};
struct inode {
	umode_t i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	dev_t i_rdev;
	struct timespec64 i_mtime;
	struct timespec64 i_ctime;
};
struct inode___6_6 { struct timespec64 __i_ctime; };
struct inode___6_7 { struct timespec64 __i_mtime; };
struct inode___6_11 { __s64 i_mtime_sec; __s64 i_ctime_sec; };
struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};
struct vfsmount { struct dentry *mnt_root; };
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path { struct vfsmount *mnt; struct dentry *dentry; };
struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	fmode_t f_mode;
	void *private_data;
};
struct fdtable { unsigned int max_fds; struct file **fd; };
struct files_struct { struct fdtable *fdt; };
struct fs_struct { struct path root, pwd; };

/* Namespaces */
struct ns_common { unsigned int inum; };
struct mnt_namespace { struct ns_common ns; };
struct uts_namespace { struct ns_common ns; };
struct ipc_namespace { struct ns_common ns; };
struct cgroup_namespace { struct ns_common ns; };
struct user_namespace { struct ns_common ns; };
struct net { struct ns_common ns; };
struct pid_namespace { struct ns_common ns; };
struct nsproxy {
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
	struct cgroup_namespace *cgroup_ns;
};
struct upid { int nr; struct pid_namespace *ns; };
struct pid { unsigned int level; struct upid numbers[1]; };

/* Control groups */
struct kernfs_node { struct kernfs_node *parent; const char *name; __u64 id; };
struct kernfs_node___6_15 { struct kernfs_node *__parent; };
struct cgroup_root { int hierarchy_id; };
struct cgroup { struct kernfs_node *kn; struct cgroup_root *root; };
struct cgroup_subsys_state { struct cgroup *cgroup; };
struct css_set { struct cgroup_subsys_state *subsys[16]; struct cgroup *dfl_cgrp; };

/* Tasks */
struct tty_struct { char name[64]; };
struct signal_struct {
	atomic_t live;
	int nr_threads;
	int group_exit_code;
	unsigned int flags;
	struct pid *pids[4];
	struct tty_struct *tty;
};
struct cred {
	kuid_t uid, suid, euid;
	kgid_t gid, egid;
	kernel_cap_t cap_inheritable, cap_permitted, cap_effective, cap_ambient;
	struct user_namespace *user_ns;
};
struct mm_struct { unsigned long arg_start, arg_end; struct file *exe_file; };
struct thread_info { __u32 status; };
struct task_struct {
	struct thread_info thread_info;
	int exit_code;
	pid_t pid, tgid;
	struct task_struct *real_parent, *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime;
	struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	kuid_t loginuid;
	unsigned int sessionid;
	struct mm_struct *mm;
	struct css_set *cgroups;
};
struct linux_binprm {
	const char *filename, *interp;
	unsigned int secureexec : 1;
};

/* Sockets */
struct in6_addr { __u8 bytes[16]; };
typedef struct { struct net *net; } possible_net_t;
struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	struct pid *sk_peer_pid;
};
struct socket { struct file *file; struct sock *sk; };
struct sockaddr_un { unsigned short sun_family; char sun_path[108]; };
struct unix_address { int len; struct sockaddr_un name[0]; };
struct unix_sock { struct unix_address *addr; struct sock *peer; };

/* Registers at the entry of a system call; arch.h reads them. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs { unsigned long r10, r9, r8, dx, si, di, bp, bx, cx, orig_ax; };
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs { __u64 regs[31]; };
struct pt_regs {
	union {
		struct user_pt_regs user_regs;
		struct { __u64 regs[31]; __u64 sp; __u64 pc; __u64 pstate; };
	};
	__u64 orig_x0;
	__s32 syscallno;
};
#endif

#pragma clang attribute pop

#endif
