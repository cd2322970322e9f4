/* SPDX-License-Identifier: MIT */
/*
 * dict_scene - dicts for cases (container.h), compared key by key
 *
 * Keys are numbers. The dicts hash with a key that is always the same, so that which
 * keys lie in one bucket can be said: crowd keys all belong to bucket 0 of 8.
 */
#ifndef KILL_DICT_SCENE_H
#define KILL_DICT_SCENE_H

#include "container.h"

#include "data/dict.h"

#define DICT_KEYS_MAX 64u

/* Keys that are in no start state. */
#define DICT_NEW 5000u /* set by victims */
#define DICT_BESIDE 6000u /* set and deleted by others */

struct dict_plan {
	struct container_plan container;
	uint32_t keys; /* 0, 1, ... are set, */
	uint32_t crowd; /* then so many crowd keys, */
	uint32_t deleted; /* then so many of the former are deleted, from 0 on */
	uint64_t value; /* length of their values; by default 20 */
	bool (*extra)(struct prusik_dict *d); /* the rest of the start state */
	int64_t (*act)(struct prusik_dict *d, const struct dict_plan *plan);
	uint32_t key; /* for act */
	uint64_t length;
	bool prefix; /* it sets DICT_NEW and the keys after it, one by one */
};

extern const struct container_sort dict_sort;
const struct dict_plan *dict_plan(void);
/* The i-th key that belongs to bucket 0 of 8. */
uint32_t dict_crowd_key(uint32_t i);
/* The value of that length that a key is given. */
const void *dict_value(uint32_t key, uint64_t length);
int dict_set(struct prusik_dict *d, uint32_t key, uint64_t length);

/* For case.beside, and case.check. */
void dict_beside(void *object);
bool dict_check(void *object);

#endif
