/* SPDX-License-Identifier: MIT */
/*
 * atomic - the only way to touch a word that two participants can see
 *
 * The order is in the name, and a call whose order matters carries a comment
 * that names the store it pairs with. rlx orders nothing, acq sees what the
 * paired rel published, acqrel does both. sc is for two who each write a word of
 * their own and then look at the other's: when all four are sc, at least one sees
 * what the other wrote. There are no fences: ThreadSanitizer cannot see them.
 *
 * Words are plain integers in the public structs (so that the headers are C++
 * too), hence the compiler's builtins and not <stdatomic.h>.
 *
 * prk_barrier() keeps the compiler, and nothing else, from moving stores. That
 * is enough against SIGKILL: it strikes between two instructions, and whoever
 * learns of the death through the kernel sees all stores before it.
 */
#ifndef PRK_BASE_ATOMIC_H
#define PRK_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define prk_barrier() __asm__ volatile("" ::: "memory")

#define PRK_DEFINE_ATOMICS(bits, type)                                                                                 \
	static inline type prk_load##bits##_rlx(const type *p)                                                         \
	{                                                                                                              \
		return __atomic_load_n(p, __ATOMIC_RELAXED);                                                           \
	}                                                                                                              \
	static inline type prk_load##bits##_acq(const type *p)                                                         \
	{                                                                                                              \
		return __atomic_load_n(p, __ATOMIC_ACQUIRE);                                                           \
	}                                                                                                              \
	static inline void prk_store##bits##_rlx(type *p, type v)                                                      \
	{                                                                                                              \
		__atomic_store_n(p, v, __ATOMIC_RELAXED);                                                              \
	}                                                                                                              \
	static inline void prk_store##bits##_rel(type *p, type v)                                                      \
	{                                                                                                              \
		__atomic_store_n(p, v, __ATOMIC_RELEASE);                                                              \
	}                                                                                                              \
	static inline type prk_load##bits##_sc(const type *p)                                                          \
	{                                                                                                              \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                           \
	}                                                                                                              \
	static inline void prk_store##bits##_sc(type *p, type v)                                                       \
	{                                                                                                              \
		__atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                              \
	}                                                                                                              \
	static inline type prk_add##bits##_rlx(type *p, type v)                                                        \
	{                                                                                                              \
		return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);                                                     \
	}                                                                                                              \
	static inline type prk_add##bits##_acqrel(type *p, type v)                                                     \
	{                                                                                                              \
		return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL);                                                     \
	}                                                                                                              \
	static inline type prk_swap##bits##_acqrel(type *p, type v)                                                    \
	{                                                                                                              \
		return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL);                                                    \
	}                                                                                                              \
	/* Compare and swap: *expected becomes what was there when it fails. */                                        \
	static inline bool prk_cas##bits##_rlx(type *p, type *expected, type v)                                        \
	{                                                                                                              \
		return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);         \
	}                                                                                                              \
	static inline bool prk_cas##bits##_acq(type *p, type *expected, type v)                                        \
	{                                                                                                              \
		return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);         \
	}                                                                                                              \
	static inline bool prk_cas##bits##_rel(type *p, type *expected, type v)                                        \
	{                                                                                                              \
		return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);         \
	}                                                                                                              \
	static inline bool prk_cas##bits##_acqrel(type *p, type *expected, type v)                                     \
	{                                                                                                              \
		return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);         \
	}                                                                                                              \
	static inline bool prk_cas##bits##_sc(type *p, type *expected, type v)                                         \
	{                                                                                                              \
		return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);         \
	}

PRK_DEFINE_ATOMICS(32, uint32_t)
PRK_DEFINE_ATOMICS(64, uint64_t)

static inline void *prk_load_ptr_acq(void *const *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void prk_store_ptr_rel(void **p, void *v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline bool prk_cas_ptr_acqrel(void **p, void **expected, void *v)
{
	return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Tell the processor that this is a spin loop. */
static inline void prk_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("pause");
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#else
	prk_barrier();
#endif
}

static inline void prk_pause_for(int times)
{
	while (times-- > 0)
		prk_pause();
}

#endif
