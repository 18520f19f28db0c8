/*
 * store.h: records of bytes of any size, by number; private to src/learn.
 *
 * What rows hold besides a fixed number of floats: pixels, samples, tokens. Records are
 * appended one after another into blocks; blocks stay in memory as long as they are
 * within `memory`, later ones go to the host's file. Reading from memory is for any thread, from the file for
 * the main one.
 */
#ifndef IDLA_LEARN_STORE_H
#define IDLA_LEARN_STORE_H

#include "idla/learn_data.h"

typedef struct LearnStore LearnStore;

/* spill NULL: what is over memory is an error. */
extern DevStatus learn_store_create(DevSession *session, size_t memory, const LearnSpill *spill, LearnStore **store);
/*
 * A store for what the records of another become: its part of the file lies behind the other's, and both keep no more than about half as
 * much again in memory.
 */
extern DevStatus learn_store_succeed(const LearnStore *store, LearnStore **successor);
extern void learn_store_free(LearnStore *store);	/* NULL is allowed */
/* bytes NULL: a missing value, told apart from an empty one. */
extern DevStatus learn_store_append(LearnStore *store, const void *bytes, size_t size);
extern size_t learn_store_records(const LearnStore *store);
extern size_t learn_store_bytes(const LearnStore *store);	/* of all records */
extern size_t learn_store_size(const LearnStore *store, size_t record);
extern bool learn_store_missing(const LearnStore *store, size_t record);
/* The record in memory, 16-byte aligned; NULL when it is missing or lies in the file. */
extern const void *learn_store_find(const LearnStore *store, size_t record);
extern bool learn_store_spilled(const LearnStore *store);
/* Copies the record from wherever it is. Main thread only. */
extern DevStatus learn_store_read(LearnStore *store, size_t record, void *dst);

#endif							/* IDLA_LEARN_STORE_H */
