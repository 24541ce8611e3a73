//go:build ignore
/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Handles the calls that connect sockets and make them reachable. */
#include "include/sensor.h"
#include "include/file.h"
#include "include/sock.h"
#include "include/call.h"

#define EINTR 4
#define EINPROGRESS 115
#define ERESTARTSYS 512
#define SOCK_STREAM 1
#define UNIX_PATH 108

struct network_scratch {
	struct record_network record;
	char path[128];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct network_scratch);
} network_scratch SEC(".maps");

struct sockaddr_head { __u16 family; __u16 port; __u32 address; };

/* An abstract name begins with NUL; it is shown as @. */
static __always_inline void end_path(struct network_scratch *s, __u32 length)
{
	s->record.path_length = length;
	if (length && !s->path[0])
		s->path[0] = '@';
}

static __always_inline void read_unix(struct network_scratch *s, struct sock *sk)
{
	struct unix_sock *own = TYPED(struct unix_sock, sk);
	struct unix_sock *peer = (struct unix_sock *)READ(own, peer);
	struct pid *peer_pid = READ(sk, sk_peer_pid);
	struct unix_address *address = 0;
	__u32 length;

	if (peer) {
		peer = TYPED(struct unix_sock, peer);
		address = READ(peer, addr);
	}
	if (!address)
		address = READ(own, addr);
	if (peer_pid) {
		struct upid upid = {};

		bpf_probe_read_kernel(&upid, sizeof(upid), (void *)peer_pid +
				      bpf_core_field_offset(struct pid, numbers));
		s->record.peer = upid.nr;
	}
	if (!address)
		return;
	address = TYPED(struct unix_address, address);
	length = READ(address, len) - sizeof(__u16);
	if (length > UNIX_PATH)
		return;
	if (bpf_probe_read_kernel(s->path, length, (void *)address +
				  bpf_core_field_offset(struct unix_address, name) +
				  bpf_core_field_offset(struct sockaddr_un, sun_path)))
		s->record.header.flags |= RECORD_UNREADABLE;
	else
		end_path(s, length);
}

static __always_inline void read_sock(struct network_scratch *s, struct sock *untyped)
{
	struct sock *sk = TYPED(struct sock, untyped);
	struct record_network *r = &s->record;

	r->family = READ(sk, __sk_common.skc_family);
	r->type = READ(sk, sk_type);
	r->protocol = READ(sk, sk_protocol);
	r->net_ns = READ(sk, __sk_common.skc_net.net, ns.inum);
	if (r->family == AF_UNIX) {
		read_unix(s, sk);
	} else if (r->family == AF_INET || r->family == AF_INET6) {
		read_address(sk, r->family, r->local, r->remote);
		r->local_port = READ(sk, __sk_common.skc_num);
		r->remote_port = bpf_ntohs(READ(sk, __sk_common.skc_dport));
	}
}

/* The address that the caller asked for: a failed call leaves none in the socket. */
static __always_inline void read_asked(struct network_scratch *s, const void *asked, __u32 size,
				       __u8 *address, __u16 *port)
{
	struct sockaddr_head head = {};
	__u32 length;

	s->record.header.flags |= RECORD_USER;
	if (size < sizeof(__u16))
		return;
	if (size > sizeof(__u16) + UNIX_PATH)
		size = sizeof(__u16) + UNIX_PATH;
	if (bpf_probe_read_user(&head, size < sizeof(head) ? sizeof(__u16) : sizeof(head), asked)) {
		s->record.header.flags |= RECORD_UNREADABLE;
		return;
	}
	s->record.family = head.family;
	if (head.family == AF_INET && size >= sizeof(head)) {
		*port = bpf_ntohs(head.port);
		*(__u32 *)address = head.address;
	} else if (head.family == AF_INET6 && size >= sizeof(head) + 16) {
		*port = bpf_ntohs(head.port);
		bpf_probe_read_user(address, 16, asked + sizeof(head));
	} else if (head.family == AF_UNIX) {
		length = (size - sizeof(__u16)) & 127;
		if (bpf_probe_read_user(s->path, length, asked + sizeof(__u16)))
			s->record.header.flags |= RECORD_UNREADABLE;
		else
			end_path(s, length);
	}
}

static __always_inline void read_network(struct network_scratch *s, struct call *call, __u8 kind,
					 __u32 fd, struct task_struct *task)
{
	struct record_network *r = &s->record;
	struct file *file;
	struct sock *sk;

	__builtin_memset(r, 0, sizeof(*r));
	record_begin(&r->header, kind, sizeof(*r), task);
	record_call(&r->header, call);
	r->fd = fd;
	file = fd_file(task, fd);
	if (!file)
		return;
	sk = file_sock(file);
	if (sk)
		read_sock(s, sk);
}

static __always_inline void send_network(struct network_scratch *s)
{
	__u32 length = s->record.path_length;

	if (length <= sizeof(s->path))
		SEND_BULK(&s->record.header, sizeof(s->record) + length);
}

static __always_inline struct network_scratch *network_record(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&network_scratch, &zero);
}

/* The call ended, but the connecting goes on without it: a signal ends the waiting alone. */
static __always_inline bool connects_on(long ret, struct record_network *r)
{
	if (ret == -EINPROGRESS)
		return true;
	return (ret == -EINTR || ret == -ERESTARTSYS) && r->remote_port;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(handle_connect, struct pt_regs *regs, long ret)
{
	struct network_scratch *s = network_record();
	struct call *call = current_call();
	struct record_network *r;

	if (!s || !call)
		return 0;
	r = &s->record;
	read_network(s, call, RECORD_CONNECT, call->args[0], current_task());
	if (ret && !connects_on(ret, r))
		read_asked(s, (void *)call->args[1], call->args[2], r->remote, &r->remote_port);
	send_network(s);
	return 0;
}

/* TCP fast open: the first data goes out with the connecting. A datagram socket ignores the flag. */
SEC("tp_btf/sys_exit")
int BPF_PROG(handle_fastopen, struct pt_regs *regs, long ret)
{
	struct network_scratch *s = network_record();
	struct call *call = current_call();
	struct record_network *r;

	if (!s || !call)
		return 0;
	r = &s->record;
	read_network(s, call, RECORD_CONNECT, call->args[0], current_task());
	if (r->type != SOCK_STREAM || (r->family != AF_INET && r->family != AF_INET6))
		return 0;
	if (ret < 0 && !connects_on(ret, r) && call->class == CLASS_SENDTO)
		read_asked(s, (void *)call->args[4], call->args[5], r->remote, &r->remote_port);
	send_network(s);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(handle_accept, struct pt_regs *regs, long ret)
{
	struct network_scratch *s = network_record();
	struct call *call = current_call();

	if (!s || !call || ret < 0)
		return 0;
	read_network(s, call, RECORD_ACCEPT, ret, current_task());
	send_network(s);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(handle_bind, struct pt_regs *regs, long ret)
{
	struct network_scratch *s = network_record();
	struct call *call = current_call();
	struct record_network *r;

	if (!s || !call)
		return 0;
	r = &s->record;
	read_network(s, call, RECORD_BIND, call->args[0], current_task());
	if (ret)
		read_asked(s, (void *)call->args[1], call->args[2], r->local, &r->local_port);
	send_network(s);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(handle_listen, struct pt_regs *regs, long ret)
{
	struct network_scratch *s = network_record();
	struct call *call = current_call();

	if (!s || !call)
		return 0;
	read_network(s, call, RECORD_LISTEN, call->args[0], current_task());
	s->record.backlog = call->args[1];
	send_network(s);
	return 0;
}
