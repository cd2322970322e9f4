/* SPDX-License-Identifier: MIT */
/* signal: names and numbers */
#include "base/sys_signal.h"

#include <errno.h>
#include <prusik/signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct name {
	int signal;
	const char *name;
};

/* The first of a number is the one that is shown. */
static const struct name names[] = {
	{ SIGHUP, "SIGHUP" },	    { SIGINT, "SIGINT" },   { SIGQUIT, "SIGQUIT" },   { SIGILL, "SIGILL" },
	{ SIGTRAP, "SIGTRAP" },	    { SIGABRT, "SIGABRT" }, { SIGBUS, "SIGBUS" },     { SIGFPE, "SIGFPE" },
	{ SIGKILL, "SIGKILL" },	    { SIGUSR1, "SIGUSR1" }, { SIGSEGV, "SIGSEGV" },   { SIGUSR2, "SIGUSR2" },
	{ SIGPIPE, "SIGPIPE" },	    { SIGALRM, "SIGALRM" }, { SIGTERM, "SIGTERM" },   { SIGCHLD, "SIGCHLD" },
	{ SIGCONT, "SIGCONT" },	    { SIGSTOP, "SIGSTOP" }, { SIGTSTP, "SIGTSTP" },   { SIGTTIN, "SIGTTIN" },
	{ SIGTTOU, "SIGTTOU" },	    { SIGURG, "SIGURG" },   { SIGXCPU, "SIGXCPU" },   { SIGXFSZ, "SIGXFSZ" },
	{ SIGVTALRM, "SIGVTALRM" }, { SIGPROF, "SIGPROF" }, { SIGWINCH, "SIGWINCH" }, { SIGIO, "SIGIO" },
	{ SIGPWR, "SIGPWR" },	    { SIGSYS, "SIGSYS" },   { SIGABRT, "SIGIOT" },    { SIGCHLD, "SIGCLD" },
	{ SIGIO, "SIGPOLL" },
#ifdef SIGSTKFLT
	{ SIGSTKFLT, "SIGSTKFLT" },
#endif
#ifdef SIGEMT
	{ SIGEMT, "SIGEMT" },
#endif
};
#define NAMES (sizeof names / sizeof names[0])

/* Realtime signals are named from the end that is nearer. */
static const char *const from_least[] = {
	"SIGRTMIN",    "SIGRTMIN+1",  "SIGRTMIN+2",  "SIGRTMIN+3",  "SIGRTMIN+4",  "SIGRTMIN+5",
	"SIGRTMIN+6",  "SIGRTMIN+7",  "SIGRTMIN+8",  "SIGRTMIN+9",  "SIGRTMIN+10", "SIGRTMIN+11",
	"SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14", "SIGRTMIN+15",
};
static const char *const from_most[] = {
	"SIGRTMAX",    "SIGRTMAX-1",  "SIGRTMAX-2",  "SIGRTMAX-3",  "SIGRTMAX-4",
	"SIGRTMAX-5",  "SIGRTMAX-6",  "SIGRTMAX-7",  "SIGRTMAX-8",  "SIGRTMAX-9",
	"SIGRTMAX-10", "SIGRTMAX-11", "SIGRTMAX-12", "SIGRTMAX-13", "SIGRTMAX-14",
};
#define FROM_LEAST ((int)(sizeof from_least / sizeof from_least[0]))

static bool usable(long signal)
{
	return signal >= 1 && signal <= PRUSIK_SIGNAL_MAX && (prk_sys_signals() & PRUSIK_SIGNAL_BIT(signal));
}

const char *prusik_signal_name(int signal)
{
	if (!usable(signal))
		return NULL;
	if (signal >= SIGRTMIN)
		return signal - SIGRTMIN < FROM_LEAST ? from_least[signal - SIGRTMIN] : from_most[SIGRTMAX - signal];
	for (size_t i = 0; i < NAMES; i++)
		if (names[i].signal == signal)
			return names[i].name;
	return NULL;
}

/* Digits and nothing else: the number, or -1. */
static long parse(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits == 0 || digits > 4 || text[digits] ? -1 : strtol(text, NULL, 10);
}

/* "RTMIN", "RTMIN+3", "RTMAX-1", or 0 */
static long realtime(const char *name)
{
	bool least = strncasecmp(name, "RTMIN", 5) == 0;
	long more = 0;

	if (!least && strncasecmp(name, "RTMAX", 5) != 0)
		return 0;
	if (name[5]) {
		if (name[5] != (least ? '+' : '-'))
			return 0;
		more = parse(name + 6);
	}
	if (more < 0 || more > SIGRTMAX - SIGRTMIN)
		return 0;
	return least ? SIGRTMIN + more : SIGRTMAX - more;
}

static long named(const char *name)
{
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < NAMES; i++)
		if (strcasecmp(names[i].name + 3, name) == 0)
			return names[i].signal;
	return realtime(name);
}

int prusik_signal_number(const char *name)
{
	if (!name)
		return -EINVAL;
	long signal = parse(name);
	if (signal < 0)
		signal = named(name);
	return usable(signal) ? (int)signal : -EINVAL;
}

uint64_t prusik_signal_list(void)
{
	uint64_t set = 0;

	for (int signal = 1; signal <= PRUSIK_SIGNAL_MAX; signal++)
		if (prusik_signal_name(signal))
			set |= PRUSIK_SIGNAL_BIT(signal);
	return set;
}
