/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From a file descriptor to the kernel's socket. */
#ifndef EUNOMIA_SOCK_H
#define EUNOMIA_SOCK_H

#include <bpf/bpf_endian.h>

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10

/* The socket behind a file, or NULL. The file must point back: other inodes of type S_IFSOCK exist. */
static __always_inline struct sock *file_sock(struct file *untyped)
{
	struct file *file = TYPED(struct file, untyped);
	struct socket *socket;

	if ((READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = TYPED(struct socket, READ(file, private_data));
	if ((__u64)READ(socket, file) != (__u64)untyped)
		return 0;
	return READ(socket, sk);
}

static __always_inline void read_address(struct sock *sk, __u16 family, __u8 *local, __u8 *remote)
{
	if (family == AF_INET) {
		*(__u32 *)local = READ(sk, __sk_common.skc_rcv_saddr);
		*(__u32 *)remote = READ(sk, __sk_common.skc_daddr);
	} else if (family == AF_INET6) {
		bpf_probe_read_kernel(local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

#endif
