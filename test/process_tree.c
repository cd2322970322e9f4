/* SPDX-License-Identifier: MIT */
/* Trees of processes: nobody of them gets away. */
#include "process_kit.h"

#include "base/atomic.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static const struct prusik_process_options with_parent = { .daemon = 1 };

/* ---- trees ---- */

#define TREE_MAX 64

/* All members of a tree, as they come. */
struct tree {
	uint32_t count;
	uint32_t pids[TREE_MAX];
};

static void join_tree(struct tree *tree)
{
	uint32_t i = prk_add32_acqrel(&tree->count, 1);

	prk_store32_rel(&tree->pids[i], (uint32_t)getpid());
}

/* One that lives on when its parent is gone, in a session of its own. */
static void leave_a_daemon(struct tree *tree)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			join_tree(tree);
			signal(SIGTERM, SIG_IGN);
			sleep_for_ever(NULL);
		}
		_exit(0);
	}
}

static int be_tree(void *argument)
{
	struct tree *tree = argument;

	join_tree(tree);
	for (int i = 0; i < 3; i++) {
		leave_a_daemon(tree);
		if (fork() == 0) {
			join_tree(tree);
			leave_a_daemon(tree);
			if (fork() == 0) {
				setpgid(0, 0);
				join_tree(tree);
			}
			sleep_for_ever(NULL);
		}
	}
	struct prusik_process *child;
	if (prusik_process_start(sleep_for_ever, NULL, NULL, &child) < 0)
		return 1;
	return sleep_for_ever(NULL);
}
#define TREE_COUNT 13u

static struct tree *grow(struct tree *tree)
{
	for (uint32_t i = 0; i < TREE_COUNT; i++)
		while (prk_load32_acq(&tree->pids[i]) == 0)
			usleep(1000);
	return tree;
}

static int count_living(const struct tree *tree)
{
	int n = 0;

	for (uint32_t i = 0; i < tree->count; i++)
		n += kill((pid_t)tree->pids[i], 0) == 0;
	return n;
}

/* Zombies have gone to init, who may take a moment. */
static void assert_felled(const struct tree *tree)
{
	int64_t deadline = prusik_in_s(15);
	char path[64], state;

	for (uint32_t i = 0; i < tree->count; i++) {
		for (;;) {
			snprintf(path, sizeof path, "/proc/%u/stat", tree->pids[i]);
			FILE *file = fopen(path, "r");
			if (!file)
				break;
			int n = fscanf(file, "%*d (%*[^)]) %c", &state);
			fclose(file);
			if (n != 1 || state == 'Z' || state == 'X')
				break;
			ck_assert_int_lt(prusik_now(), deadline);
			usleep(1000);
		}
	}
}

TEST(kill_tree)
{
	for (int i = 0; i < 10; i++) {
		struct tree *tree = test_shared(sizeof *tree);
		struct prusik_process *root = start(be_tree, tree);
		ck_assert_int_eq(count_living(grow(tree)), TREE_COUNT);
		ck_assert_int_eq(prusik_process_kill_tree(root), 0);
		ck_assert_int_eq(finish(root), -SIGKILL);
		assert_felled(tree);
	}
}

TEST(kill_tree_by_one_who_adopts)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 0; i < 10; i++) {
		struct tree *tree = test_shared(sizeof *tree);
		struct prusik_process *root = start(be_tree, tree);
		grow(tree);
		ck_assert_int_eq(prusik_process_kill_tree(root), 0);
		ck_assert_int_eq(finish(root), -SIGKILL);
		ck_assert_int_eq(count_living(tree), 0);
		assert_childless(); /* not even zombies */
	}
}

/* It forks as fast as it can, and each child leaves its parent at once. */
static int run_away(void *argument)
{
	for (uint32_t *counter = argument;;) {
		pid_t pid = fork();
		if (pid == 0)
			prk_add32_rlx(counter, 1);
		else
			_exit(0);
	}
}

static int start_runner(void *counter)
{
	if (fork() == 0)
		run_away(counter);
	return sleep_for_ever(NULL);
}

TEST(kill_tree_catches_a_runner)
{
	uint32_t *counter = test_shared(sizeof *counter);

	for (int i = 0; i < 5; i++) {
		struct prusik_process *root = start(start_runner, counter);
		uint32_t began = prk_load32_acq(counter);
		while (prk_load32_acq(counter) < began + 20)
			usleep(100);
		ck_assert_int_eq(prusik_process_kill_tree(root), 0);
		ck_assert_int_eq(finish(root), -SIGKILL);
		uint32_t after = prk_load32_acq(counter);
		usleep(30000);
		ck_assert_uint_eq(prk_load32_acq(counter), after);
	}
}

TEST(kill_tree_of_one_that_has_ended)
{
	int code = 3;
	struct prusik_process *child = start(return_it, &code);

	ck_assert_int_eq(prusik_process_join(child, PRUSIK_FOREVER, NULL), 0);
	ck_assert_int_eq(prusik_process_kill_tree(child), -ESRCH);
	ck_assert_int_eq(prusik_process_kill_tree(NULL), -EINVAL);
	ck_assert_int_eq(finish(child), 3);
}

static int start_tree(void *tree)
{
	struct prusik_process *root;

	return prusik_process_start(be_tree, tree, &with_parent, &root) < 0 ? 1 : sleep_for_ever(NULL);
}

TEST(a_daemon_takes_its_tree_with_it)
{
	for (int i = 0; i < 5; i++) {
		struct tree *tree = test_shared(sizeof *tree);
		struct prusik_process *parent = start(start_tree, tree);
		grow(tree);
		ck_assert_int_eq(prusik_process_kill(parent), 0);
		ck_assert_int_eq(finish(parent), -SIGKILL);
		assert_felled(tree);
	}
}
