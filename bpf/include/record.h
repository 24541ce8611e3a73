/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What travels through the rings. Go reads these structures through the bindings
 * that bpf2go generates from them, so every hole is spelled out as padding.
 */
#ifndef EUNOMIA_RECORD_H
#define EUNOMIA_RECORD_H

/* Numbered as event.Kind; a test holds the two together. */
enum record_kind {
	RECORD_NONE,
	RECORD_EXEC,
	RECORD_FORK,
	RECORD_EXIT,
	RECORD_OPEN,
	RECORD_CONNECT,
	RECORD_ACCEPT,
	RECORD_BIND,
	RECORD_LISTEN,
	RECORD_CGROUP_MAKE,
	RECORD_CGROUP_REMOVE,
	RECORD_KINDS = 64,
};

enum record_flag {
	RECORD_UNREADABLE = 1,	/* a part could not be read, e.g. its page was not resident */
	RECORD_USER = 2,	/* arguments come from the caller's memory */
	RECORD_SELF = 4,	/* the detector itself acted */
};

enum syscall_abi {
	ABI_NONE,		/* not a system call: a scheduler or cgroup tracepoint */
	ABI_NATIVE,
	ABI_COMPAT,		/* ia32 on x86-64, AArch32 on arm64 */
	ABI_X32,
};

enum path_flag {
	PATH_TRUNCATED = 1,	/* the head is missing: too long or too deep */
	PATH_UNREACHED = 2,	/* does not lead to the process's root */
	PATH_DELETED = 4,
	PATH_FAULT = 8,
};

enum file_flag {
	FILE_UPPER = 1,		/* overlayfs: lies on the writable layer */
	FILE_LOWER = 2,		/* overlayfs: lies on a read-only layer */
	FILE_MEMFD = 4,
	FILE_CREATED = 8,	/* this open made it */
};

enum stream_type {
	STREAM_UNKNOWN,
	STREAM_CLOSED,
	STREAM_TTY,
	STREAM_PIPE,
	STREAM_FILE,
	STREAM_DEVICE,
	STREAM_INET,
	STREAM_UNIX,
	STREAM_OTHER,
};

struct record_header {
	__u32 length;		/* of the whole record */
	__u16 fixed;		/* header and payload; the strings follow */
	__u8 kind;
	__u8 flags;
	__u32 cpu;
	__u16 syscall;
	__u8 abi;
	__u8 padding;
	__u64 sequence;		/* per CPU, counted before the record is known to fit */
	__u64 time;		/* since boot, suspend included */
	__s64 ret;
	__u64 start;		/* of the thread group's leader, since boot */
	__u64 parent_start;
	__u64 cgroup;		/* bit 63: an id of the chosen v1 hierarchy */
	__u32 tgid;
	__u32 tid;
	__u32 parent;
	__u32 mount_ns;
	__u32 uid;
	__u32 euid;
	__u32 suid;
	__u32 gid;
	__u32 egid;
	__u32 padding2;
	__u8 comm[16];
};

struct file_facts {
	__u64 inode;
	__u32 device;
	__u32 mode;
	__u32 links;
	__u32 uid;
	__u32 gid;
	__u32 magic;		/* of the file system */
	__u8 flags;		/* enum file_flag */
	__u8 path_flags;	/* enum path_flag */
	__u8 padding[6];
	__u8 filesystem[16];
};

struct namespaces {
	__u32 pid;
	__u32 mount;
	__u32 net;
	__u32 user;
	__u32 uts;
	__u32 ipc;
	__u32 cgroup;
	__u32 padding;
};

struct stream {
	__u8 address[16];	/* remote end of an internet socket */
	__u16 port;
	__u16 family;
	__u8 type;		/* enum stream_type */
	__u8 padding[3];
};

/* Strings, in order: cgroup, executable, args, filename, interpreter, cwd, tty. */
struct record_exec {
	struct record_header header;
	struct file_facts file;
	__s64 mtime;
	__s64 ctime;
	__u64 cap_effective;
	__u64 cap_permitted;
	__u64 cap_inheritable;
	__u64 cap_ambient;
	struct namespaces namespaces;
	__u32 namespace_pid;
	__u32 session;
	__u32 group;
	__u32 login_uid;
	__u32 audit_session;
	__u32 args_full;	/* bytes of argv, read or not */
	struct stream streams[3];
	__u16 cgroup_length;
	__u16 executable_length;
	__u16 args_length;
	__u16 filename_length;
	__u16 interpreter_length;
	__u16 cwd_length;
	__u16 tty_length;
	__u8 secure;		/* the exec gained privilege */
	__u8 cwd_flags;		/* enum path_flag */
};

struct record_fork {
	struct record_header header;	/* the child's */
	struct namespaces namespaces;
	__u32 session;
	__u32 group;
	__u32 parent_euid;
	__u32 padding;
	__u8 parent_comm[16];
};

struct record_exit {
	struct record_header header;
	__u32 status;		/* as wait(2) gives it */
	__u32 padding;
};

/* Strings: the path. */
struct record_open {
	struct record_header header;
	struct file_facts file;
	__u32 flags;
	__u32 mode;
	__s32 fd;
	__u16 path_length;
	__u16 padding;
};

/* Strings: the unix path. */
struct record_network {
	struct record_header header;
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u16 family;
	__u16 type;
	__u16 protocol;
	__u16 path_length;
	__u32 net_ns;
	__s32 fd;
	__u32 backlog;
	__u32 peer;		/* pid at the other end of a unix socket */
	__u32 padding;
};

/* Strings: the path from the hierarchy's root. */
struct record_cgroup {
	struct record_header header;
	__u64 id;
	__u16 path_length;
	__u16 padding[3];
};

#endif
