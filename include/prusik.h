/* SPDX-License-Identifier: MIT */
/*
 * prusik.h - everything
 *
 * One concurrency runtime for C on Linux. Include this, or only the nouns you
 * use: each header in prusik/ stands alone and is the contract of its noun.
 */
#ifndef PRUSIK_H
#define PRUSIK_H

#include <prusik/arena.h>
#include <prusik/array.h>
#include <prusik/barrier.h>
#include <prusik/cancel.h>
#include <prusik/common.h>
#include <prusik/condition.h>
#include <prusik/dict.h>
#include <prusik/event.h>
#include <prusik/list.h>
#include <prusik/lock.h>
#include <prusik/named.h>
#include <prusik/once.h>
#include <prusik/process.h>
#include <prusik/ptrqueue.h>
#include <prusik/queue.h>
#include <prusik/rlock.h>
#include <prusik/rwlock.h>
#include <prusik/semaphore.h>
#include <prusik/signal.h>
#include <prusik/thread.h>
#include <prusik/value.h>

#endif
