/* SPDX-License-Identifier: MIT */
#include "forms.h"

#include "base/sentinel.h"
#include "base/sys.h"
#include "base/wait.h"
#include "others.h"
#include "step.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPLAINTS_MAX 5

static const char *const form_names[KILL_FORMS] = {
	[KILL_KILL] = "kill",	  [KILL_SNAPSHOT] = "snapshot",	  [KILL_BESIDE] = "beside",
	[KILL_RESUME] = "resume", [KILL_DOUBLE] = "double",	  [KILL_TWICE] = "twice",
	[KILL_ALL] = "all",	  [KILL_BYSTANDER] = "bystander",
};

const char *kill_form_name(enum kill_form form)
{
	return form_names[form];
}

bool kill_form_fits(const struct kill_case *c, enum kill_form form)
{
	bool snapshot = c->check && c->size && !(c->is & (KILL_NO_SNAPSHOT | KILL_SENTINEL));

	switch (form) {
	case KILL_SNAPSHOT:
		return snapshot;
	case KILL_DOUBLE:
		return snapshot && c->recover;
	case KILL_TWICE:
		return c->recover;
	case KILL_BESIDE:
		return c->beside;
	case KILL_RESUME:
		return !(c->is & (KILL_NO_RESUME | KILL_SENTINEL));
	case KILL_ALL:
		return c->check && !(c->is & KILL_NO_ALL);
	default:
		return true;
	}
}

/* ---- the life table between two points ---- */

/* Slots that somebody occupies. */
static uint32_t taken(void)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < prk_life->top; i++) {
		const struct prk_slot *slot = &prk_life->slot[i];
		uint32_t life = prk_load32_acq(&slot->life);
		bool nobody = life == 0 || (life & PRK_LIFE_DIED);
		if ((prk_load32_acq(&slot->tag) & PRK_TAG_LIVE) || !nobody)
			n++;
	}
	return n;
}

/* Every dead one is reaped by now, so the kernel has marked it. */
static void bury_all(void)
{
	while (prk_life && prk_sweep() > 0)
		;
}

/* ---- one point ---- */

static void set_up(const struct kill_case *c)
{
	struct kill_run *run = kill_run;

	memset(run->object[0], 0, c->size);
	memset(run->note, 0, sizeof run->note);
	memset(run->lease, 0, sizeof run->lease);
	run->phase = KILL_PREPARES;
	run->victim_id = run->second_id = run->finished = run->everybody_died = run->go = 0;
	if (c->setup)
		c->setup(run->object[0]);
}

static bool start(const struct kill_case *c, struct kill_victim *v)
{
	if (!kill_claim(kill_victim_start(v), "the victim comes to its operation"))
		return false;
	if (c->ready)
		c->ready(kill_run->object[0]);
	return true;
}

static void unblock(const struct kill_case *c, struct kill_victim *v)
{
	if (c->unblock && !v->helped)
		c->unblock(kill_run->object[0], v->slept);
	v->slept++;
}

/* A sentinel has done its work when it sleeps again. */
static bool sleeps_for_good(const struct kill_case *c, const struct kill_victim *v)
{
	return (c->is & KILL_SENTINEL) && v->slept > 0;
}

/* What has to happen for a step, of which r is known, to come to an end. */
static enum kill_outcome go_on(const struct kill_case *c, struct kill_victim *v, enum kill_step r)
{
	while (r == KILL_SLEEPS) {
		if (sleeps_for_good(c, v)) {
			v->returned = true;
			return KILL_FINE;
		}
		if (c->unblock)
			unblock(c, v);
		r = kill_step_on(v);
	}
	return r == KILL_GONE ? KILL_BROKEN : r == KILL_STUCK ? KILL_HUNG : KILL_FINE;
}

static enum kill_outcome go_one(const struct kill_case *c, struct kill_victim *v)
{
	return go_on(c, v, kill_step(v));
}

static enum kill_outcome go_to(const struct kill_case *c, struct kill_victim *v, uint32_t n)
{
	enum kill_outcome r = KILL_FINE;

	while (r == KILL_FINE && v->steps < n && !v->returned && !v->strayed)
		r = go_on(c, v, kill_step_towards(v, n));
	return r;
}

static enum kill_outcome go_to_its_end(const struct kill_case *c, struct kill_victim *v)
{
	enum kill_outcome r = KILL_FINE;

	while (r == KILL_FINE && !v->returned)
		r = go_on(c, v, kill_run_on(v));
	return r;
}

static bool bystander(void *unused)
{
	(void)unused;
	if (prk_joined() < 0 || !prk_sentinel_start())
		return false;
	kill_await_go(UINT32_MAX);
	return true;
}

/* Whoever recovers is killed at an instruction of his that differs from point to point. */
static enum kill_outcome kill_recoverer(const struct kill_case *c, uint32_t n)
{
	struct kill_victim v;
	uint32_t last = n * 37 % 509;
	enum kill_outcome r = KILL_FINE;

	if (!kill_claim(kill_recoverer_start(&v, c->recover, kill_run->object[0]), "recovery begins"))
		r = KILL_BROKEN;
	while (r == KILL_FINE && v.steps < last && !v.returned && !v.strayed) {
		enum kill_step s = kill_step_towards(&v, last);
		if (s == KILL_SLEEPS || s == KILL_STUCK)
			break; /* others hold what he wants: dying asleep is as good */
		if (s == KILL_GONE)
			r = KILL_BROKEN;
	}
	kill_victim_kill(&v);
	return r;
}

static enum kill_outcome survivors(const struct kill_case *c)
{
	enum kill_outcome r = kill_run->everybody_died ? KILL_FINE : kill_await_others();

	if (r == KILL_FINE && c->check)
		r = kill_newcomer((kill_check_fn *)c->check, kill_run->object[0]);
	return r;
}

struct point {
	uint32_t n; /* the instruction */
	int bystander; /* the number of him who dies with the victim */
	bool step_all; /* all the way to it */
	bool last; /* the operation has no further one */
	bool strayed; /* the victim was not at n */
};

static enum kill_outcome end_victim(const struct kill_case *c, struct kill_victim *v, enum kill_form form,
				    const struct point *p)
{
	enum kill_outcome r = KILL_FINE;

	if (form == KILL_RESUME) {
		r = go_to_its_end(c, v);
		kill_run->finished = 1;
		return r != KILL_FINE || kill_victim_release(v) ? r : KILL_HUNG;
	}
	kill_run->finished = v->returned;
	if (form == KILL_ALL) {
		kill_run->everybody_died = 1;
		kill_others_at_once();
	} else if (form == KILL_BYSTANDER) {
		kill_now(p->bystander);
	}
	kill_victim_kill(v);
	if (form == KILL_TWICE)
		r = kill_recoverer(c, p->n);
	return r;
}

static enum kill_outcome run_point(const struct kill_case *c, struct kill_victim *v, enum kill_form form,
				   const struct point *p)
{
	enum kill_outcome r = go_to(c, v, p->n);

	if (v->strayed)
		return r;
	if (r == KILL_FINE && c->beside && (form == KILL_BESIDE || form == KILL_RESUME)) {
		c->beside(kill_run->object[0]);
		v->helped = form == KILL_RESUME && (c->is & KILL_ENOUGH);
	}
	bool returned = v->returned;
	if (r == KILL_FINE)
		r = end_victim(c, v, form, p);
	v->returned = returned;
	if (r == KILL_FINE && !kill_run->everybody_died) {
		if (v->slept == 0)
			unblock(c, v);
		if (c->killed)
			c->killed(kill_run->object[0]);
	}
	return r == KILL_FINE ? survivors(c) : r;
}

static enum kill_outcome point(const struct kill_case *c, enum kill_form form, struct point *p)
{
	int first = kill_others();
	struct kill_victim v = { 0 };

	if (c->is & KILL_OWN_DOMAIN)
		kill_domain_fresh();
	uint32_t before = prk_life ? taken() : 0;
	set_up(c);
	bool good = start(c, &v);
	if (p->step_all || (c->is & KILL_SENTINEL))
		v.path = NULL;
	if (form == KILL_BYSTANDER)
		p->bystander = kill_asleep(bystander, KILL_STAYS);
	enum kill_outcome r = good ? run_point(c, &v, form, p) : KILL_BROKEN;
	kill_victim_kill(&v);
	kill_others_from(first);
	bury_all();
	if (form == KILL_ALL && first > 0) {
		kill_others_from(0);
		bury_all();
		c->begin(kill_run->image);
	} else if (r == KILL_FINE && prk_life && taken() != before) {
		kill_claim(false, "as many slots are taken as before");
		r = KILL_BROKEN;
	}
	if (c->is & KILL_OWN_DOMAIN)
		kill_domain_back();
	p->strayed = v.strayed;
	p->last = v.returned || !good;
	return r;
}

static bool note(struct kill_tally *t, enum kill_outcome r, enum kill_form form, uint32_t n, bool quiet)
{
	t->points++;
	if (r == KILL_FINE)
		return true;
	if (r == KILL_HUNG)
		t->hung++;
	else
		t->broken++;
	if (!quiet && t->hung + t->broken <= COMPLAINTS_MAX)
		printf("        %s: %s at instruction %u\n", form_names[form], r == KILL_HUNG ? "hung" : "broken", n);
	return false;
}

/* Where a stride begins: another place in each case, so that all together see more. */
static uint32_t first_point(const struct kill_case *c, enum kill_form form, uint32_t stride)
{
	uint32_t h = (uint32_t)form * 7;

	for (const char *s = c->operation; *s; s++)
		h = h * 31 + (unsigned char)*s;
	for (const char *s = c->state; *s; s++)
		h = h * 31 + (unsigned char)*s;
	return h % stride;
}

static int64_t end_of(const struct kill_options *o)
{
	return o->limit ? prusik_in_ns(o->limit) : PRUSIK_FOREVER;
}

static void run_points(const struct kill_case *c, enum kill_form form, const struct kill_options *o,
		       struct kill_tally *t)
{
	struct point p = { .n = first_point(c, form, o->stride) };

	/* Ever sparser when in a hurry: what makes an operation long is libc starting a thread. */
	uint32_t sparser = o->limit ? 4 : UINT32_MAX;
	int64_t end = end_of(o);

	while (!p.last && prusik_now() < end) {
		enum kill_outcome r = point(c, form, &p);
		if (kill_interrupted)
			return; /* others were, too, it may be */
		if (p.strayed) {
			p = (struct point){ .n = p.n, .step_all = true };
			continue;
		}
		if (!note(t, r, form, p.n, o->quiet) && !o->quiet && (o->stop || t->hung > COMPLAINTS_MAX))
			return;
		p.n += o->stride + p.n / sparser;
		p.step_all = false;
	}
}

/* ---- the probe: a process that checks copies ---- */

static bool probe(void *unused)
{
	const struct kill_case *c = kill_now_case;
	struct kill_run *run = kill_run;

	(void)unused;
	if (prk_joined() < 0)
		return false;
	kill_hello();
	for (uint32_t done = 0;;) {
		uint32_t asked = prk_load32_acq(&run->asked);
		if (asked == done) {
			prk_sys_futex_wait(&run->asked, done, PRUSIK_FOREVER);
			continue;
		}
		run->answer = c->check(run->object[run->subject]);
		done = asked;
		prk_store32_rel(&run->answered, done);
		fflush(stdout);
	}
}

static int start_probe(void)
{
	kill_run->asked = kill_run->answered = 0;
	return kill_start(probe, KILL_STAYS);
}

/* Let the probe check the object of that number. One that hangs or dies is replaced. */
static enum kill_outcome ask(int *number, uint32_t subject)
{
	struct kill_run *run = kill_run;
	int64_t end = kill_clock() + KILL_LIMIT;

	run->subject = subject;
	uint32_t asked = prk_add32_acqrel(&run->asked, 1) + 1;
	prk_wake(&run->asked, INT_MAX);
	for (unsigned int round = 0; prk_load32_acq(&run->answered) != asked; round++) {
		bool alive = kill_lives(*number);
		if (alive && kill_clock() < end) {
			if (round > 1000)
				kill_rest(round);
			continue;
		}
		kill_now(*number);
		*number = start_probe();
		return alive ? KILL_HUNG : KILL_BROKEN;
	}
	return run->answer ? KILL_FINE : KILL_BROKEN;
}

/* ---- a stopped process counts as dead for a while ---- */

struct pretence {
	struct prk_slot *slot;
	uint32_t tag;
	uint32_t epoch;
};

static struct pretence play_dead(uint32_t id)
{
	struct prk_slot *slot = prk_slot_of(id);
	struct pretence p = { slot, slot->tag, prk_life->epoch };

	prk_store32_rel(&prk_life->epoch, p.epoch + 1);
	prk_store32_rel(&slot->tag, (p.tag & ~PRK_TAG_LIVE) + 2);
	return p;
}

static void revive(const struct pretence *p)
{
	prk_store32_rel(&p->slot->tag, p->tag);
	prk_store32_rel(&prk_life->epoch, p->epoch);
}

/* ---- the forms that look at copies ---- */

/*
 * A copy holds only what the victim, and those who have come to rest, have stored: one
 * whom the victim has just woken may hold the lock for a moment, and nobody will release
 * it in the copy.
 */
static void copy_object(const struct kill_case *c)
{
	static char last[KILL_OBJECT_MAX];
	const char *object = kill_run->object[0];
	char *copy = kill_run->object[1];

	if (memcmp(object, last, c->size) != 0)
		kill_settle_all();
	memcpy(copy, object, c->size);
	memcpy(last, copy, c->size);
}

static enum kill_outcome look_at_copy(const struct kill_case *c, int *probe_number)
{
	copy_object(c);
	struct pretence p = play_dead(kill_run->victim_id);
	enum kill_outcome r = ask(probe_number, 1);
	revive(&p);
	return r;
}

/* At each image that the recoverer leaves in the copy, recover that. */
static enum kill_outcome step_recoverer(const struct kill_case *c, struct kill_victim *v, int *probe_number,
					struct kill_tally *t)
{
	static char seen[KILL_OBJECT_MAX];
	const char *copy = kill_run->object[1];
	enum kill_outcome r = KILL_FINE;

	for (bool changed = true;; changed = memcmp(seen, copy, c->size) != 0) {
		if (changed) {
			memcpy(seen, copy, c->size);
			memcpy(kill_run->object[2], copy, c->size);
			struct pretence p = play_dead(kill_run->second_id);
			r = ask(probe_number, 2);
			revive(&p);
		}
		t->points++;
		if (v->returned || r != KILL_FINE)
			return r;
		enum kill_step s = kill_step(v);
		if (s == KILL_SLEEPS || s == KILL_STUCK)
			return KILL_HUNG;
		if (!kill_claim(s != KILL_GONE, "recovery does not crash"))
			return KILL_BROKEN;
	}
}

/* Is the object another than when this was last asked? */
static bool new_image(const struct kill_case *c, bool first)
{
	static char seen[KILL_OBJECT_MAX];
	bool same = !first && memcmp(seen, kill_run->object[0], c->size) == 0;

	memcpy(seen, kill_run->object[0], c->size);
	return !same;
}

/*
 * Whoever has cleaned up leaves silently: his death would wake those who sleep on the
 * object itself. They would find it held by the victim, who is alive again, and wait
 * on in another way: promised the lock, say. In the next copy that promise stands, and
 * nobody is there to keep it. For the same reason the victim must be alive again before
 * a recoverer that did not come to his end is killed.
 */
static bool end_recoverer(struct kill_victim *second)
{
	bool left = !second->returned || kill_victim_release(second);

	kill_victim_kill(second);
	return kill_claim(left, "who has cleaned up can leave");
}

static enum kill_outcome double_at_copy(const struct kill_case *c, int *probe_number, struct kill_tally *t)
{
	struct kill_victim second;

	copy_object(c);
	struct pretence p = play_dead(kill_run->victim_id);
	bool begun = kill_recoverer_start(&second, c->recover, kill_run->object[1]);
	enum kill_outcome r = KILL_BROKEN;
	if (kill_claim(begun, "recovery begins"))
		r = step_recoverer(c, &second, probe_number, t);
	revive(&p);
	if (!end_recoverer(&second) && r == KILL_FINE)
		r = KILL_BROKEN;
	bury_all();
	return r;
}

/* With a stride, images ever farther apart, for each costs a recovery: 0, 1, 2, 4, 7, 11, 17... */
static bool due(const struct kill_options *o, int64_t end, uint32_t *images, uint32_t *next)
{
	if ((*images)++ < *next || prusik_now() >= end)
		return false;
	*next += 1 + (o->stride > 1 ? *next / 2 : 0);
	return true;
}

static void run_pass(const struct kill_case *c, enum kill_form form, const struct kill_options *o, struct kill_tally *t)
{
	uint32_t images = 0, next = 0;
	int first = kill_others();
	struct kill_victim v = { 0 };
	/* To look at a copy is cheap: always at each instruction. */
	int64_t end = form == KILL_SNAPSHOT ? PRUSIK_FOREVER : end_of(o);
	enum kill_outcome r;

	set_up(c);
	int number = start_probe();
	if (!start(c, &v))
		note(t, KILL_BROKEN, form, 0, false);
	else
		for (;;) {
			kill_run->finished = v.returned;
			r = KILL_FINE;
			if (form == KILL_SNAPSHOT)
				r = look_at_copy(c, &number);
			else if (new_image(c, images == 0) && due(o, end, &images, &next))
				r = double_at_copy(c, &number, t);
			if (form == KILL_SNAPSHOT || r != KILL_FINE)
				note(t, r, form, v.steps, false);
			if (v.returned || kill_interrupted || prusik_now() >= end ||
			    ((o->stop || t->hung) && r != KILL_FINE))
				break;
			r = go_one(c, &v);
			if (r != KILL_FINE && !kill_interrupted) {
				note(t, r, form, v.steps, false);
				break;
			}
		}
	kill_victim_kill(&v);
	kill_others_from(first);
	bury_all();
}

void kill_form_run(enum kill_form form, const struct kill_options *options, struct kill_tally *ret_tally)
{
	const struct kill_case *c = kill_now_case;

	*ret_tally = (struct kill_tally){ 0 };
	if (form == KILL_SNAPSHOT || form == KILL_DOUBLE)
		run_pass(c, form, options, ret_tally);
	else
		run_points(c, form, options, ret_tally);
}
