/*
 * compat.h: PostgreSQL's headers and every difference between its versions.
 */
#ifndef IDLA_COMPAT_H
#define IDLA_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/buffile.h"
#include "storage/lockdefs.h"
#include "utils/regproc.h"
#include "utils/varlena.h"

#if PG_VERSION_NUM < 150000
#error "idla needs PostgreSQL 15 or newer"
#endif

/* Variable-length datums moved out of postgres.h in 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Writing the lines of EXPLAIN, and what is written into, have headers of their own since 18. */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/* A qualified name out of text; 16 added a soft-error argument. */
#if PG_VERSION_NUM >= 160000
#define idla_compat_name_list(text) stringToQualifiedNameList((text), NULL)
#else
#define idla_compat_name_list(text) stringToQualifiedNameList(text)
#endif

/* Reading all of a request or failing got a name of its own in 16. */
#if PG_VERSION_NUM >= 160000
#define idla_compat_read(file, bytes, size) (BufFileReadExact((file), (bytes), (size)), (size))
#else
#define idla_compat_read(file, bytes, size) BufFileRead((file), (bytes), (size))
#endif

/* 17 can end a transaction that takes too long, by FATAL. */
#if PG_VERSION_NUM >= 170000
#define idla_compat_transaction_timeout() (TransactionTimeoutPending)
#else
#define idla_compat_transaction_timeout() (false)
#endif

/* The local number of this backend's transaction moved into a struct in 17; needs storage/proc.h. */
#if PG_VERSION_NUM >= 170000
#define idla_compat_lxid() (MyProc->vxid.lxid)
#else
#define idla_compat_lxid() (MyProc->lxid)
#endif

/* The number of a relation's file; needs utils/rel.h. */
#if PG_VERSION_NUM >= 160000
#define idla_compat_file_number(relation) ((relation)->rd_locator.relNumber)
#else
#define idla_compat_file_number(relation) ((relation)->rd_node.relNode)
#endif

/* 16 marks variables that an outer join may make NULL, 18 those of OLD and NEW in RETURNING. */
#if PG_VERSION_NUM >= 180000
#define idla_compat_is_current(var) ((var)->varnullingrels == NULL && (var)->varreturningtype == VAR_RETURNING_DEFAULT)
#elif PG_VERSION_NUM >= 160000
#define idla_compat_is_current(var) ((var)->varnullingrels == NULL)
#else
#define idla_compat_is_current(var) (true)
#endif

/* From 16 on a variable that no join has marked is never NULL as a whole; before, the joins have to be looked at. */
#define idla_compat_marks_nullable() (PG_VERSION_NUM >= 160000)

/* The columns of a table of the query, as variables, without those that were dropped; needs parser/parse_relation.h. */
#if PG_VERSION_NUM >= 180000
#define idla_compat_expand(entry, number, names, variables) \
	expandRTE((entry), (number), 0, VAR_RETURNING_DEFAULT, -1, false, (names), (variables))
#else
#define idla_compat_expand(entry, number, names, variables) expandRTE((entry), (number), 0, -1, false, (names), (variables))
#endif

/* May the current user call a function? One check for all kinds of objects came with 16; needs utils/acl.h, catalog/pg_proc.h. */
#if PG_VERSION_NUM >= 160000
#define idla_compat_may_execute(function) \
	(object_aclcheck(ProcedureRelationId, (function), GetUserId(), ACL_EXECUTE) == ACLCHECK_OK)
#else
#define idla_compat_may_execute(function) (pg_proc_aclcheck((function), GetUserId(), ACL_EXECUTE) == ACLCHECK_OK)
#endif

/* A range of two bounds that is not empty; 16 added a soft-error argument. Needs utils/rangetypes.h. */
#if PG_VERSION_NUM >= 160000
#define idla_compat_range(type, lower, upper) make_range((type), (lower), (upper), false, NULL)
#else
#define idla_compat_range(type, lower, upper) make_range((type), (lower), (upper), false)
#endif

/* 18 can leave room before a minimal tuple; needs access/htup_details.h. */
#if PG_VERSION_NUM >= 180000
#define idla_compat_form_minimal_tuple(desc, values, isnull) heap_form_minimal_tuple((desc), (values), (isnull), 0)
#else
#define idla_compat_form_minimal_tuple(desc, values, isnull) heap_form_minimal_tuple((desc), (values), (isnull))
#endif

/* 18 has generated columns that no row stores. */
#if PG_VERSION_NUM >= 180000
#define idla_compat_is_virtual(attribute) ((attribute)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define idla_compat_is_virtual(attribute) (false)
#endif

/* 18 lets a module say its name and version. */
#if PG_VERSION_NUM >= 180000
#define IDLA_MODULE_MAGIC(module, release) PG_MODULE_MAGIC_EXT(.name = (module), .version = (release))
#else
#define IDLA_MODULE_MAGIC(module, release) PG_MODULE_MAGIC
#endif

/* 18 says pg_noreturn in front of the declaration; the attribute behind it works everywhere. */
#ifndef pg_attribute_noreturn
#define pg_attribute_noreturn() __attribute__((noreturn))
#endif

#endif							/* IDLA_COMPAT_H */
