/* SPDX-License-Identifier: MIT */
/*
 * tsan - what ThreadSanitizer, and its like, cannot see by itself
 *
 * It follows atomic operations of the program, not those that the kernel does for
 * it (FUTEX_WAKE_OP). Before such a call the caller says what it publishes; who
 * then loads the word with acq has, for ThreadSanitizer too, seen it. Nor does it
 * know that the kernel's mark of a thread's death comes after all that thread did.
 *
 * It forgets a thread in the last round of the thread's destructors: what we do at a
 * thread's end has to be a round earlier. So does AddressSanitizer, and then takes for
 * leaked what that thread still has.
 */
#ifndef PRK_BASE_TSAN_H
#define PRK_BASE_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define PRK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PRK_TSAN 1
#endif
#endif

#ifdef PRK_TSAN
void __tsan_release(void *address);
void __tsan_acquire(void *address);
#define prk_tsan_release(address) __tsan_release(address)
#define prk_tsan_acquire(address) __tsan_acquire(address)
#else
#define prk_tsan_release(address) ((void)0)
#define prk_tsan_acquire(address) ((void)0)
#endif

#if defined(PRK_TSAN) || defined(__SANITIZE_ADDRESS__)
#define PRK_SANITIZER_ROUNDS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PRK_SANITIZER_ROUNDS 1
#endif
#endif
#ifndef PRK_SANITIZER_ROUNDS
#define PRK_SANITIZER_ROUNDS 0
#endif

#endif
