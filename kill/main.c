/* SPDX-License-Identifier: MIT */
/*
 * prusik-kill - run the kill matrix
 *
 *	prusik-kill                  every case, every form, every instruction
 *	prusik-kill --quick          where a point costs a process, only one in many
 *	prusik-kill --list           the cases and their forms
 *	prusik-kill queue/put        cases whose name contains this
 *	prusik-kill =lock/try/free   the case of this name
 *	prusik-kill --form=resume lock
 *	prusik-kill --glibc          some scenes beside glibc's primitives, and no more
 *	prusik-kill --stop           give up at the first failure
 *	prusik-kill --realtime       go before other programs, if it may: each step is two switches,
 *	                             which on a busy machine are hundreds of times slower. On a
 *	                             quiet one it is in the way: the kernel, when it forgets a process
 *	                             that somebody looks up in /proc, spins until he has been on
 *
 * Exits 0 when nothing hung and nothing was broken, 2 when no case is as asked for. kill.h says
 * what is done.
 */
#include "beside.h"
#include "forms.h"
#include "others.h"
#include "step.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What --quick leaves out, and how long a form of a case may take even so. */
#define QUICK_STRIDE 61
#define QUICK_LIMIT INT64_C(100000000)

struct kill_run *kill_run;
const struct kill_case *kill_now_case;

static const struct kill_table *const tables[] = {
	&kill_life_table,	 &kill_lock_table,	 &kill_arena_table,  &kill_arena_made_table,
	&kill_arena_queue_table, &kill_arena_name_table, &kill_named_table,  &kill_condition_table,
	&kill_event_table,	 &kill_once_table,	 &kill_queue_table,  &kill_queue_kinds_table,
	&kill_semaphore_table,	 &kill_rlock_table,	 &kill_rwlock_table, &kill_barrier_table,
	&kill_dict_table,	 &kill_list_table,	 &kill_value_table,  &kill_array_table,
};

static struct {
	struct kill_options options;
	const char *filter;
	const char *form;
	bool list, glibc;
} asked = { .options.stride = 1 };

/* Somebody wants it to end: the point at hand is the last. */
volatile sig_atomic_t kill_interrupted;

static void interrupt(int unused)
{
	(void)unused;
	kill_interrupted = 1;
}

static struct {
	uint64_t operations, states, points, hung, broken, passed, failed;
} total;

/* ---- domains ---- */

static char domain[] = "/dev/shm/prusik-kill-XXXXXX";
static char fresh_domain[sizeof domain + 8];
static struct prk_life *own_life;

static void remove_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void enter_domain(void)
{
	if (!mkdtemp(domain)) {
		perror(domain);
		exit(2);
	}
	setenv("PRUSIK_DIR", domain, 1);
	snprintf(fresh_domain, sizeof fresh_domain, "%s/fresh", domain);
	int r = prk_life_open();
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", domain, prusik_strerror(r));
		exit(2);
	}
	own_life = prk_life;
}

void kill_domain_fresh(void)
{
	setenv("PRUSIK_DIR", fresh_domain, 1);
	prk_life = NULL;
}

void kill_domain_back(void)
{
	remove_directory(fresh_domain);
	setenv("PRUSIK_DIR", domain, 1);
	prk_life = own_life;
}

/* ---- running ---- */

static void name_case(const struct kill_case *c, char *to, size_t size)
{
	snprintf(to, size, "%s/%s/%s", c->noun, c->operation, c->state);
}

static bool asked_for(const struct kill_case *c)
{
	char name[128];

	name_case(c, name, sizeof name);
	if (!asked.filter)
		return true;
	return asked.filter[0] == '=' ? strcmp(name, asked.filter + 1) == 0 : strstr(name, asked.filter) != NULL;
}

static bool wanted(const struct kill_case *c, enum kill_form form)
{
	return !kill_interrupted && kill_form_fits(c, form) && asked_for(c) &&
	       (!asked.form || strcmp(asked.form, kill_form_name(form)) == 0);
}

static bool any_wanted(void)
{
	if (asked.glibc)
		return kill_beside_knows(asked.filter);
	for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
		for (size_t i = 0; i < tables[t]->count; i++)
			for (enum kill_form form = 0; form < KILL_FORMS; form++)
				if (wanted(&tables[t]->cases[i], form))
					return true;
	fputs("prusik-kill: no case", stderr);
	if (asked.form)
		fprintf(stderr, " with the form '%s'", asked.form);
	if (asked.filter)
		fprintf(stderr, " has '%s' in its name", asked.filter);
	fputs("; --list prints them\n", stderr);
	return false;
}

static void run_form(const struct kill_case *c, enum kill_form form)
{
	struct kill_tally t;
	char what[64];
	int64_t begin = kill_clock();

	kill_form_run(form, &asked.options, &t);
	bool ok = t.hung + t.broken == 0;
	snprintf(what, sizeof what, "%s/%s", c->noun, c->operation);
	printf("%-24s %-34s %-9s %7llu points %3llu hung %3llu broken %7lld ms%s\n", what, c->state,
	       kill_form_name(form), (unsigned long long)t.points, (unsigned long long)t.hung,
	       (unsigned long long)t.broken, (long long)((kill_clock() - begin) / 1000000), ok ? "" : "   FAILED");
	fflush(stdout);
	total.points += t.points;
	total.hung += t.hung;
	total.broken += t.broken;
	ok ? total.passed++ : total.failed++;
	if (!ok && asked.options.stop)
		asked.filter = "\n"; /* matches no name: nothing more */
}

static void run_case(const struct kill_case *c)
{
	bool begun = false;

	for (enum kill_form form = 0; form < KILL_FORMS; form++) {
		if (!wanted(c, form))
			continue;
		kill_now_case = c;
		if (!begun)
			kill_paths_forget();
		if (!begun && c->begin)
			c->begin(kill_run->image);
		begun = true;
		run_form(c, form);
	}
	if (!begun)
		return;
	total.states++;
	if (c->end)
		c->end(kill_run->image);
	kill_others_from(0);
	while (prk_sweep() > 0)
		;
}

static void list_case(const struct kill_case *c)
{
	char name[128];

	if (!asked_for(c))
		return;
	name_case(c, name, sizeof name);
	printf("%-56s", name);
	for (enum kill_form form = 0; form < KILL_FORMS; form++)
		if (kill_form_fits(c, form))
			printf(" %s", kill_form_name(form));
	putchar('\n');
}

static void run_table(const struct kill_table *t)
{
	const char *last = "";
	uint64_t states = total.states;

	for (size_t i = 0; i < t->count; i++) {
		const struct kill_case *c = &t->cases[i];
		if (asked.list) {
			list_case(c);
			continue;
		}
		if (c->is & KILL_LONG && asked.options.limit && !asked.filter)
			continue;
		run_case(c);
		if (total.states != states && strcmp(last, c->operation) != 0) {
			total.operations++;
			last = c->operation;
		}
		states = total.states;
	}
}

static bool read_arguments(int count, char **arguments)
{
	for (int i = 1; i < count; i++) {
		const char *a = arguments[i];
		if (strcmp(a, "--quick") == 0) {
			asked.options.stride = QUICK_STRIDE;
			asked.options.limit = QUICK_LIMIT;
		} else if (strncmp(a, "--stride=", 9) == 0)
			asked.options.stride = (uint32_t)strtoul(a + 9, NULL, 10);
		else if (strcmp(a, "--list") == 0)
			asked.list = true;
		else if (strcmp(a, "--glibc") == 0)
			asked.glibc = true;
		else if (strcmp(a, "--stop") == 0)
			asked.options.stop = true;
		else if (strcmp(a, "--realtime") == 0)
			sched_setscheduler(0, SCHED_RR, &(struct sched_param){ .sched_priority = 1 });
		else if (strncmp(a, "--form=", 7) == 0)
			asked.form = a + 7;
		else if (a[0] == '-' || asked.filter)
			return false;
		else
			asked.filter = a;
	}
	return asked.options.stride > 0;
}

int main(int count, char **arguments)
{
	if (!read_arguments(count, arguments)) {
		fprintf(stderr, "usage: prusik-kill [--quick | --stride=N] [--list] [--glibc] [--stop] [--realtime] "
				"[--form=FORM] [PART-OF-A-NAME | =NAME]\n");
		return 2;
	}
	if (!any_wanted())
		return 2;
	kill_run = mmap(NULL, sizeof *kill_run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (kill_run == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	if (!asked.list)
		enter_domain();
	signal(SIGINT, interrupt);
	signal(SIGTERM, interrupt);
	kill_pin(true);
	if (asked.glibc) {
		bool good = kill_beside_glibc(asked.filter, asked.options.stride);
		remove_directory(domain);
		return good ? 0 : 1;
	}
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		run_table(tables[i]);
	if (asked.list)
		return 0;
	remove_directory(domain);
	printf("kill matrix: %llu operations, %llu states, %llu kill points, %llu hangs, %llu broken\n",
	       (unsigned long long)total.operations, (unsigned long long)total.states, (unsigned long long)total.points,
	       (unsigned long long)total.hung, (unsigned long long)total.broken);
	printf("%llu passed, %llu failed\n", (unsigned long long)total.passed, (unsigned long long)total.failed);
	return total.failed == 0 && total.passed > 0 && !kill_interrupted ? 0 : 1;
}
