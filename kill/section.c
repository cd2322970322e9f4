/* SPDX-License-Identifier: MIT */
#include "section.h"

/* In kill_run->note; the cases' own ones begin at 0. */
#define OWNER 15

static const struct section_verbs *verbs(void)
{
	return ((const struct section_plan *)kill_now_case->data)->verbs;
}

static bool owner(void *object)
{
	bool ok = kill_claim(verbs()->open(object, PRUSIK_FOREVER) == 0, "an owner gets the lock");

	kill_await_go(1);
	return ok && kill_claim(verbs()->close(object) == 0, "and gives it back");
}

static void start_owner(void *object, enum kill_stay stay)
{
	verbs()->setup(object);
	kill_run->note[OWNER] = (uint32_t)kill_asleep(owner, stay);
}

void section_had(void *object)
{
	start_owner(object, KILL_FINISHES);
}

void section_kept(void *object)
{
	start_owner(object, KILL_STAYS);
}

void section_orphaned(void *object)
{
	section_kept(object);
	kill_now((int)kill_run->note[OWNER]);
}

void section_let_go(void *object, int times)
{
	(void)object;
	if (times == 0)
		kill_go();
}

void section_owner_dies(void *object, int times)
{
	(void)object;
	if (times == 0)
		kill_now((int)kill_run->note[OWNER]);
}

int section_told(void *object)
{
	int r = verbs()->open(object, PRUSIK_FOREVER);
	bool ok = kill_claim(r == 0 || r == PRUSIK_RECOVERED, "a newcomer gets the lock") &&
		  kill_claim(verbs()->close(object) == 0, "he gives it back") &&
		  kill_claim(verbs()->open(object, PRUSIK_NOW) == 0, "and is not told again") &&
		  kill_claim(verbs()->close(object) == 0, "and again");

	return ok ? r : -1;
}
