/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Reading kernel memory. READ(task, signal, tty) follows pointers in one of two
 * ways, chosen at load: by plain loads, which the kernel guards (0.4 ns each, from
 * 6.2 on, where bpf_rdonly_cast can give any pointer a type), or by
 * bpf_probe_read_kernel (6 ns each, any kernel). A load that faults yields zero in
 * both. The verifier removes the branch not taken.
 */
#ifndef EUNOMIA_READ_H
#define EUNOMIA_READ_H

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

const volatile bool direct_reads = false;

extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

#define READ(src, a, ...)                                                                          \
	({                                                                                         \
		___type((src), a, ##__VA_ARGS__) __value;                                          \
		if (direct_reads)                                                                  \
			__value = ___arrow((src), a, ##__VA_ARGS__);                               \
		else                                                                               \
			BPF_CORE_READ_INTO(&__value, (src), a, ##__VA_ARGS__);                     \
		__value;                                                                           \
	})

/* TYPED(type, p) makes a pointer that came from memory fit for READ. */
#define TYPED(type, pointer)                                                                       \
	({                                                                                         \
		type *__typed = (type *)(pointer);                                                 \
		if (direct_reads)                                                                  \
			__typed = bpf_rdonly_cast(__typed, bpf_core_type_id_kernel(type));         \
		__typed;                                                                           \
	})

/* Cast like any other pointer: a trusted one has members that demand NULL checks on some kernels. */
static __always_inline struct task_struct *current_task(void)
{
	return TYPED(struct task_struct, bpf_get_current_task());
}

#endif
