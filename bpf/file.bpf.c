//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Handles the calls that open a file. */
#include "include/sensor.h"
#include "include/path.h"
#include "include/file.h"
#include "include/call.h"

#define AT_FDCWD -100
#define O_CREAT 0100
#define O_EXCL 0200
#define O_NOCTTY 0400
#define O_TRUNC 01000
#define O_WRONLY 01

/* What open(2) forgets: the file's own flags lack them. */
#define O_ONCE (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC)

/* A failed open's path is its base directory and the path asked for: two full ones at most. */
#define OPEN_TAIL (2 * PATH_SIZE)

struct open_scratch {
	struct record_open record;
	char tail[OPEN_TAIL + PATH_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct open_scratch);
} open_scratch SEC(".maps");

struct how { __u64 flags; __u64 mode; };	/* the head of struct open_how */

struct request {
	const char *path;
	int base;	/* directory descriptor */
	__u32 flags;
	__u32 mode;
};

static __always_inline void read_request(struct request *q, struct record_header *h,
					 struct call *call)
{
	struct how how = {};

	q->base = AT_FDCWD;
	switch (call->class) {
	case CLASS_OPEN:
		q->path = (void *)call->args[0];
		q->flags = call->args[1];
		q->mode = call->args[2];
		return;
	case CLASS_CREAT:
		q->path = (void *)call->args[0];
		q->flags = O_CREAT | O_TRUNC | O_WRONLY;
		q->mode = call->args[1];
		return;
	case CLASS_OPENAT2:
		if (bpf_probe_read_user(&how, sizeof(how), (void *)call->args[2]))
			h->flags |= RECORD_UNREADABLE;
		q->flags = how.flags;
		q->mode = how.mode;
		break;
	case CLASS_OPEN_BY_HANDLE:
		q->flags = call->args[2];
		q->mode = 0;
		q->path = 0;
		return;
	default:
		q->flags = call->args[2];
		q->mode = call->args[3];
	}
	q->base = call->args[0];
	q->path = (void *)call->args[1];
}

static __always_inline __u32 put_resolved(struct open_scratch *s, struct path *path,
					  struct task_struct *task)
{
	struct path_buffer *buffer = path_resolve(READ(path, dentry), READ(path, mnt), task);
	__u32 start, length;

	if (!buffer)
		return 0;
	s->record.file.path_flags = buffer->walk.flags;
	start = buffer->walk.offset & (PATH_SIZE - 1);
	length = PATH_SIZE - start;
	if (bpf_probe_read_kernel(s->tail, length, buffer->bytes + start))
		return 0;
	return length;
}

/* The directory that a relative path starts from. */
static __always_inline __u32 put_base(struct open_scratch *s, int base, struct task_struct *task)
{
	struct fs_struct *fs;
	struct file *file;

	if (base == AT_FDCWD) {
		fs = READ(task, fs);
		return put_resolved(s, &fs->pwd, task);
	}
	file = fd_file(task, base);
	if (!file)
		return 0;
	file = TYPED(struct file, file);
	return put_resolved(s, &file->f_path, task);
}

/* No file to look at: what the caller asked for, from its memory. */
static __always_inline __u32 put_asked(struct open_scratch *s, struct request *q,
				       struct task_struct *task)
{
	__u32 base = 0;
	char first = 0;
	long n;

	s->record.header.flags |= RECORD_USER;
	if (!q->path)
		return 0;
	if (bpf_probe_read_user(&first, 1, q->path)) {
		s->record.header.flags |= RECORD_UNREADABLE;
		return 0;
	}
	if (first != '/' && first) {
		base = put_base(s, q->base, task);
		if (base > 1 && base < PATH_SIZE)
			s->tail[base++] = '/';
		s->record.file.path_flags &= PATH_TRUNCATED | PATH_UNREACHED;
	}
	if (base > PATH_SIZE)
		return 0;
	n = bpf_probe_read_user_str(s->tail + base, PATH_SIZE, q->path);
	if (n < 0) {
		s->record.header.flags |= RECORD_UNREADABLE;
		return base;
	}
	return n ? base + n - 1 : base;
}

static __always_inline void put_file(struct open_scratch *s, struct file *file)
{
	struct record_open *r = &s->record;
	fmode_t mode = READ(file, f_mode);

	read_file_facts(&r->file, READ(file, f_inode));
	r->flags = (READ(file, f_flags) & ~O_ONCE) | (r->flags & O_ONCE);
	if (mode & FMODE_MADE)
		r->file.flags |= FILE_CREATED;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(handle_open, struct pt_regs *regs, long ret)
{
	struct task_struct *task = current_task();
	struct call *call = current_call();
	struct request q = {};
	struct open_scratch *s;
	struct record_open *r;
	struct file *file = 0;
	__u32 zero = 0, length;

	s = bpf_map_lookup_elem(&open_scratch, &zero);
	if (!call || !s)
		return 0;
	r = &s->record;
	record_begin(&r->header, RECORD_OPEN, sizeof(*r), task);
	record_call(&r->header, call);
	read_request(&q, &r->header, call);
	r->flags = q.flags;
	r->mode = q.mode;
	r->fd = ret;
	r->padding = 0;
	__builtin_memset(&r->file, 0, sizeof(r->file));

	if (ret >= 0)
		file = fd_file(task, ret);
	if (file) {
		file = TYPED(struct file, file);
		put_file(s, file);
		length = put_resolved(s, &file->f_path, task);
	} else {
		/* Failed, or another thread has closed it already. */
		length = put_asked(s, &q, task);
	}
	if (length > 2 * PATH_SIZE)
		length = 2 * PATH_SIZE;
	r->path_length = length;
	SEND_BULK(&r->header, sizeof(*r) + length);
	return 0;
}
