/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * System call number, entry convention and arguments at the exit of a call. The
 * kernel keeps them in pt_regs until then, and no other thread can reach them.
 */
#ifndef EUNOMIA_ARCH_H
#define EUNOMIA_ARCH_H

#if defined(__TARGET_ARCH_x86)

#define TS_COMPAT 0x2		/* the call came through int 0x80 or a 32-bit sysenter */
#define X32_BIT 0x40000000

static __always_inline __u32 syscall_abi(struct pt_regs *regs, struct task_struct *task)
{
	if (READ(task, thread_info.status) & TS_COMPAT)
		return ABI_COMPAT;
	return regs->orig_ax & X32_BIT ? ABI_X32 : ABI_NATIVE;
}

static __always_inline __u32 syscall_number(struct pt_regs *regs)
{
	return regs->orig_ax & ~X32_BIT;
}

static __always_inline void syscall_args(struct pt_regs *regs, __u32 abi, __u64 *args)
{
	if (abi == ABI_COMPAT) {
		args[0] = (__u32)regs->bx;
		args[1] = (__u32)regs->cx;
		args[2] = (__u32)regs->dx;
		args[3] = (__u32)regs->si;
		args[4] = (__u32)regs->di;
		args[5] = (__u32)regs->bp;
		return;
	}
	args[0] = regs->di;
	args[1] = regs->si;
	args[2] = regs->dx;
	args[3] = regs->r10;
	args[4] = regs->r8;
	args[5] = regs->r9;
}

#elif defined(__TARGET_ARCH_arm64)

#define PSR_MODE32_BIT 0x10

static __always_inline __u32 syscall_abi(struct pt_regs *regs, struct task_struct *task)
{
	return regs->pstate & PSR_MODE32_BIT ? ABI_COMPAT : ABI_NATIVE;
}

static __always_inline __u32 syscall_number(struct pt_regs *regs)
{
	return regs->syscallno;
}

/* x0 holds the return value by now; the kernel keeps the first argument aside. */
static __always_inline void syscall_args(struct pt_regs *regs, __u32 abi, __u64 *args)
{
	args[0] = regs->orig_x0;
	args[1] = regs->regs[1];
	args[2] = regs->regs[2];
	args[3] = regs->regs[3];
	args[4] = regs->regs[4];
	args[5] = regs->regs[5];
}

#else
#error "arch.h: add the registers of this architecture"
#endif

#endif
