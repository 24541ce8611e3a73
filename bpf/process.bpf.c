//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Observes the life of processes: fork, exec and exit. */
#include "include/sensor.h"
#include "include/path.h"
#include "include/file.h"
#include "include/sock.h"
#include "include/stats.h"

#define ARGS_MAX 4095
#define PAGE_MASK 4095
#define TAIL_LIMIT (4 * PATH_SIZE + 1024)	/* last place where a string may begin */

#define EEXIST 17
#define SIGNAL_GROUP_EXIT 4
#define PIDTYPE_PGID 2
#define PIDTYPE_SID 3

struct exec_scratch {
	struct record_exec record;
	char tail[TAIL_LIMIT + PATH_SIZE];
	__u32 used;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_scratch);
} exec_scratch SEC(".maps");

/* Multi-threaded processes whose end was reported, by tgid: two last threads can both see no other alive. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u8);
} exited SEC(".maps");

/* bpf2go finds types by way of variables; the other records lie in maps. */
const struct record_fork *unused_fork __attribute__((unused));
const struct record_exit *unused_exit __attribute__((unused));
const enum loss_reason *unused_reason __attribute__((unused));
const enum record_flag *unused_record_flag __attribute__((unused));
const enum path_flag *unused_path_flag __attribute__((unused));
const enum file_flag *unused_file_flag __attribute__((unused));
const enum syscall_abi *unused_abi __attribute__((unused));
const enum stream_type *unused_stream_type __attribute__((unused));
const enum record_kind *unused_kind __attribute__((unused));

static __always_inline void read_namespaces(struct namespaces *out, struct task_struct *task)
{
	struct nsproxy *proxy = READ(task, nsproxy);
	struct pid *pid = READ(task, thread_pid);
	struct pid_namespace *pid_ns;
	struct upid upid = {};

	bpf_probe_read_kernel(&upid, sizeof(upid), (void *)pid +
			      bpf_core_field_offset(struct pid, numbers) +
			      (READ(pid, level) & 31) * bpf_core_type_size(struct upid));
	pid_ns = TYPED(struct pid_namespace, upid.ns);
	out->pid = READ(pid_ns, ns.inum);
	out->mount = READ(proxy, mnt_ns, ns.inum);
	out->net = READ(proxy, net_ns, ns.inum);
	out->uts = READ(proxy, uts_ns, ns.inum);
	out->ipc = READ(proxy, ipc_ns, ns.inum);
	out->cgroup = READ(proxy, cgroup_ns, ns.inum);
	out->user = READ(task, cred, user_ns, ns.inum);
	out->padding = 0;
}

static __always_inline __u32 pid_number(struct pid *pid)
{
	struct upid upid = {};

	bpf_probe_read_kernel(&upid, sizeof(upid), (void *)pid +
			      bpf_core_field_offset(struct pid, numbers));
	return upid.nr;
}

static __always_inline __u32 own_pid_number(struct task_struct *task)
{
	struct pid *pid = READ(task, thread_pid);
	struct upid upid = {};

	bpf_probe_read_kernel(&upid, sizeof(upid), (void *)pid +
			      bpf_core_field_offset(struct pid, numbers) +
			      (READ(pid, level) & 31) * bpf_core_type_size(struct upid));
	return upid.nr;
}

static __always_inline __u16 put_string(struct exec_scratch *s, const char *string, __u32 size)
{
	__u32 at = s->used;
	long n;

	if (at > TAIL_LIMIT)
		return 0;
	n = bpf_probe_read_kernel_str(s->tail + at, size, string);
	if (n < 0) {
		s->record.header.flags |= RECORD_UNREADABLE;
		return 0;
	}
	if (n <= 1)
		return 0;
	s->used = at + n - 1;
	return n - 1;
}

static __always_inline __u16 put_path(struct exec_scratch *s, struct path *path,
				      struct task_struct *task, __u8 *flags)
{
	struct path_buffer *buffer = path_resolve(READ(path, dentry), READ(path, mnt), task);
	__u32 start, length, at = s->used;

	*flags = PATH_FAULT;
	if (!buffer || at > TAIL_LIMIT)
		return 0;
	*flags = buffer->walk.flags;
	start = buffer->walk.offset & (PATH_SIZE - 1);
	length = PATH_SIZE - start;
	if (bpf_probe_read_kernel(s->tail + at, length, buffer->bytes + start))
		return 0;
	s->used = at + length;
	return length;
}

/* argv from the new program's memory, which nobody else can write yet. */
static __always_inline __u16 put_args(struct exec_scratch *s, struct mm_struct *mm)
{
	unsigned long start = READ(mm, arg_start), end = READ(mm, arg_end);
	__u64 length = end - start;
	__u32 at = s->used;

	if (end <= start || at > TAIL_LIMIT)
		return 0;
	s->record.args_full = length;
	if (length > ARGS_MAX)
		length = ARGS_MAX;
	if (!bpf_probe_read_user(s->tail + at, length, (void *)start)) {
		s->used = at + length;
		return length;
	}
	/* A page is not resident: take what lies before its border. */
	s->record.header.flags |= RECORD_UNREADABLE;
	start &= PAGE_MASK;
	if (length > PAGE_MASK + 1 - start)
		length = PAGE_MASK + 1 - start;
	if (length > ARGS_MAX || bpf_probe_read_user(s->tail + at, length, (void *)READ(mm, arg_start)))
		return 0;
	s->used = at + length;
	return length;
}

/* Names from the hierarchy's root down, each after a slash. */
static __always_inline __u16 put_cgroup(struct exec_scratch *s, struct task_struct *task)
{
	struct kernfs_node *nodes[CGROUP_LEVELS] = {};
	struct kernfs_node *node;
	__u32 first = s->used;
	__u64 tag;
	int i;

	node = task_cgroup(task, &tag);
#pragma unroll
	for (i = 0; i < CGROUP_LEVELS; i++) {
		nodes[i] = node;
		if (node)
			node = kernfs_parent(node);
	}
#pragma unroll
	for (i = CGROUP_LEVELS - 1; i >= 0; i--) {
		__u32 at = s->used;

		if (!nodes[i] || !kernfs_parent(nodes[i]) || at > TAIL_LIMIT)
			continue;
		s->tail[at] = '/';
		s->used = at + 1;
		put_string(s, READ(nodes[i], name), NAME_MASK + 1);
	}
	return s->used - first;
}

static __always_inline void read_times(struct record_exec *r, struct inode *inode)
{
	struct inode___6_11 *newest = (void *)inode;
	struct inode___6_7 *newer = (void *)inode;
	struct inode___6_6 *new = (void *)inode;

	if (bpf_core_field_exists(newest->i_mtime_sec))
		r->mtime = BPF_CORE_READ(newest, i_mtime_sec);
	else if (bpf_core_field_exists(newer->__i_mtime))
		r->mtime = BPF_CORE_READ(newer, __i_mtime.tv_sec);
	else
		r->mtime = BPF_CORE_READ(inode, i_mtime.tv_sec);
	if (bpf_core_field_exists(newest->i_ctime_sec))
		r->ctime = BPF_CORE_READ(newest, i_ctime_sec);
	else if (bpf_core_field_exists(new->__i_ctime))
		r->ctime = BPF_CORE_READ(new, __i_ctime.tv_sec);
	else
		r->ctime = BPF_CORE_READ(inode, i_ctime.tv_sec);
}

static __always_inline bool is_tty(dev_t device)
{
	__u32 major = device >> 20;

	return major == 4 || major == 5 || (major >= 136 && major <= 143);
}

static __always_inline void read_stream(struct stream *out, struct task_struct *task, __u32 fd)
{
	struct file *untyped = fd_file(task, fd);
	struct file *file = TYPED(struct file, untyped);
	struct inode *inode;
	struct sock *sk;
	__u8 local[16];

	out->type = STREAM_CLOSED;
	if (!untyped)
		return;
	out->type = STREAM_OTHER;
	inode = READ(file, f_inode);
	switch (READ(inode, i_mode) & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		out->type = STREAM_FILE;
		return;
	case S_IFIFO:
		out->type = STREAM_PIPE;
		return;
	case S_IFBLK:
		out->type = STREAM_DEVICE;
		return;
	case S_IFCHR:
		out->type = is_tty(READ(inode, i_rdev)) ? STREAM_TTY : STREAM_DEVICE;
		return;
	case S_IFSOCK:
		sk = file_sock(untyped);
		if (!sk)
			return;
		out->family = READ(sk, __sk_common.skc_family);
		if (out->family == AF_UNIX)
			out->type = STREAM_UNIX;
		if (out->family != AF_INET && out->family != AF_INET6)
			return;
		out->type = STREAM_INET;
		read_address(sk, out->family, local, out->address);
		out->port = bpf_ntohs(READ(sk, __sk_common.skc_dport));
	}
}

static __always_inline void read_credentials(struct record_exec *r, struct task_struct *task)
{
	struct cred *cred = READ(task, cred);

	/* Two __u32 before 6.3, one __u64 since: the same bytes on little endian. */
	bpf_probe_read_kernel(&r->cap_effective, 8, &cred->cap_effective);
	bpf_probe_read_kernel(&r->cap_permitted, 8, &cred->cap_permitted);
	bpf_probe_read_kernel(&r->cap_inheritable, 8, &cred->cap_inheritable);
	bpf_probe_read_kernel(&r->cap_ambient, 8, &cred->cap_ambient);
	r->login_uid = r->audit_session = -1;
	if (bpf_core_field_exists(task->loginuid)) {
		r->login_uid = READ(task, loginuid.val);
		r->audit_session = READ(task, sessionid);
	}
}

static __always_inline bool is_memfd(struct dentry *dentry)
{
	char name[8] = {};

	bpf_probe_read_kernel(name, 6, READ(dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' &&
	       name[4] == 'd' && name[5] == ':';
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *traced, pid_t old, struct linux_binprm *bprm)
{
	struct task_struct *task = TYPED(struct task_struct, traced);
	struct mm_struct *mm = READ(task, mm);
	struct file *exe = READ(mm, exe_file);
	struct signal_struct *signal = READ(task, signal);
	const char *filename = BPF_CORE_READ(bprm, filename);
	const char *interpreter = BPF_CORE_READ(bprm, interp);
	struct fs_struct *fs = READ(task, fs);
	struct tty_struct *tty = READ(signal, tty);
	struct inode *inode = READ(exe, f_inode);
	struct record_exec *r;
	struct exec_scratch *s;
	__u64 size;
	__u32 zero = 0;

	count_act(task, COUNT_EXEC);
	s = bpf_map_lookup_elem(&exec_scratch, &zero);
	if (!s)
		return 0;
	r = &s->record;
	__builtin_memset(r, 0, sizeof(*r));
	s->used = 0;
	record_begin(&r->header, RECORD_EXEC, sizeof(*r), task);
	read_file_facts(&r->file, inode);
	read_times(r, inode);
	if (is_memfd(READ(exe, f_path.dentry)))
		r->file.flags |= FILE_MEMFD;
	read_credentials(r, task);
	read_namespaces(&r->namespaces, task);
	r->namespace_pid = own_pid_number(task);
	r->session = pid_number(READ(signal, pids[PIDTYPE_SID]));
	r->group = pid_number(READ(signal, pids[PIDTYPE_PGID]));
	r->secure = BPF_CORE_READ_BITFIELD_PROBED(bprm, secureexec);
	read_stream(&r->streams[0], task, 0);
	read_stream(&r->streams[1], task, 1);
	read_stream(&r->streams[2], task, 2);

	r->cgroup_length = put_cgroup(s, task);
	r->executable_length = put_path(s, &exe->f_path, task, &r->file.path_flags);
	r->args_length = put_args(s, mm);
	r->filename_length = put_string(s, filename, PATH_SIZE);
	if (filename != interpreter)
		r->interpreter_length = put_string(s, interpreter, PATH_SIZE);
	r->cwd_length = put_path(s, &fs->pwd, task, &r->cwd_flags);
	if (tty)
		r->tty_length = put_string(s, tty->name, sizeof(tty->name));

	size = sizeof(*r) + s->used;
	if (size <= sizeof(*r) + sizeof(s->tail))
		SEND_PRIORITY(&r->header, size);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *caller, struct task_struct *traced)
{
	struct task_struct *child = TYPED(struct task_struct, traced);
	struct task_struct *parent = TYPED(struct task_struct, caller);
	struct signal_struct *signal;
	struct record_fork r = {};

	if (READ(child, pid) != READ(child, tgid))
		return 0;
	signal = READ(child, signal);
	count_act(child, COUNT_FORK);
	record_begin(&r.header, RECORD_FORK, sizeof(r), child);
	/*
	 * Who made the child, which is whose program it runs: with CLONE_PARENT its
	 * real_parent is another process, that of its maker.
	 */
	r.header.parent = READ(parent, tgid);
	r.header.parent_start = READ(parent, group_leader, start_boottime);
	read_namespaces(&r.namespaces, child);
	r.session = pid_number(READ(signal, pids[PIDTYPE_SID]));
	r.group = pid_number(READ(signal, pids[PIDTYPE_PGID]));
	r.parent_euid = READ(parent, cred, euid.val);
	bpf_probe_read_kernel(r.parent_comm, sizeof(r.parent_comm), &parent->comm);
	SEND_PRIORITY(&r.header, sizeof(r));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *traced)
{
	struct task_struct *task = TYPED(struct task_struct, traced);
	struct signal_struct *signal = READ(task, signal);
	struct record_exit r = {};

	if (READ(signal, live.counter) != 0)
		return 0;
	if (READ(signal, nr_threads) > 1) {
		__u64 key = (__u64)READ(task, tgid) << 32 ^ READ(task, group_leader, start_boottime);
		__u8 yes = 1;

		/* Other errors say nothing of the other thread: twice is better than never. */
		if (bpf_map_update_elem(&exited, &key, &yes, BPF_NOEXIST) == -EEXIST)
			return 0;
	}
	count_act(task, COUNT_EXIT);
	record_begin(&r.header, RECORD_EXIT, sizeof(r), task);
	r.status = READ(signal, flags) & SIGNAL_GROUP_EXIT ?
			   READ(signal, group_exit_code) :
			   READ(task, group_leader, exit_code);
	SEND_PRIORITY(&r.header, sizeof(r));
	return 0;
}
