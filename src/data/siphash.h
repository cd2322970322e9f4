/* SPDX-License-Identifier: MIT */
/*
 * siphash - SipHash-1-3 of Aumasson and Bernstein, "SipHash: a fast short-input PRF"
 * (2012), with one round per word and three at the end
 *
 * Whoever does not know the key cannot make keys that collide.
 */
#ifndef PRK_DATA_SIPHASH_H
#define PRK_DATA_SIPHASH_H

#include <stdint.h>

struct prk_sip {
	uint64_t a, b, c, d;
};

static inline uint64_t prk_sip_turn(uint64_t x, unsigned int by)
{
	return x << by | x >> (64 - by);
}

static inline void prk_sip_round(struct prk_sip *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = prk_sip_turn(s->b, 13) ^ s->a;
	s->d = prk_sip_turn(s->d, 16) ^ s->c;
	s->a = prk_sip_turn(s->a, 32) + s->d;
	s->c += s->b;
	s->d = prk_sip_turn(s->d, 21) ^ s->a;
	s->b = prk_sip_turn(s->b, 17) ^ s->c;
	s->c = prk_sip_turn(s->c, 32);
}

static inline struct prk_sip prk_sip_begin(uint64_t key0, uint64_t key1)
{
	return (struct prk_sip){
		key0 ^ UINT64_C(0x736f6d6570736575),
		key1 ^ UINT64_C(0x646f72616e646f6d),
		key0 ^ UINT64_C(0x6c7967656e657261),
		key1 ^ UINT64_C(0x7465646279746573),
	};
}

static inline void prk_sip_word(struct prk_sip *s, uint64_t word)
{
	s->d ^= word;
	prk_sip_round(s);
	s->a ^= word;
}

/* rest: the last length % 8 bytes as a word. */
static inline uint64_t prk_sip_end(struct prk_sip *s, uint64_t rest, uint64_t length)
{
	prk_sip_word(s, rest | length << 56);
	s->c ^= 0xff;
	prk_sip_round(s);
	prk_sip_round(s);
	prk_sip_round(s);
	return s->a ^ s->b ^ s->c ^ s->d;
}

#endif
