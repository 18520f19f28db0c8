/*
 * compat.h: PostgreSQL's headers and every difference between its versions.
 */
#ifndef IDLA_COMPAT_H
#define IDLA_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#if PG_VERSION_NUM < 150000
#error "idla needs PostgreSQL 15 or newer"
#endif

#endif							/* IDLA_COMPAT_H */
