/*
 * splice.h: what splice.c asks of the expressions of a plan; private to it and splice_calls.c.
 */
#ifndef IDLA_SPLICE_H
#define IDLA_SPLICE_H

#include "serve.h"

typedef struct IdlaCollecting
{
	List	   *calls;			/* distinct */
	bool		aggregates;		/* look inside aggregates alone, or outside them alone */
	bool		inside;
	bool		conditional;
} IdlaCollecting;

/* Adds the calls that are evaluated for every row and can be elsewhere; false always, as a walker of expressions. */
extern bool idla_calls_collect(Node *node, IdlaCollecting *collecting);

typedef struct IdlaRewriting
{
	List	   *calls;
	List	   *columns;		/* expressions that the node below hands on, found by equal; answers may be among them */
	int			varno;			/* of what stands in place of a column */
	bool		aggregates;		/* calls are inside aggregates, and columns stay */
} IdlaRewriting;

/* Place of an expression in a list, -1 when it is not there. */
extern int	idla_expression_find(List *list, const Node *node);
/* Adds what the expression takes from the rows below to the columns. */
extern bool idla_columns_gather(Node *node, IdlaRewriting *rewriting);
/* Column `position`, from 0, of varno, of the type that the expression has. */
extern Var *idla_stand_in(int varno, int position, const Node *node);
/* Calls become columns behind those from below; these become columns of the batch node. */
extern Node *idla_calls_rewrite(Node *node, IdlaRewriting *rewriting);
/* A call with its input found in the row below. */
extern Node *idla_call_input(Node *call, List *columns);
/*
 * Does it name, as a regclass, a temporary table? The planner lets no worker read the temporary tables that a query is about, but knows nothing of a model
 * that is one.
 */
extern bool idla_query_names_temporary(Query *query, ParamListInfo parameters);

#endif							/* IDLA_SPLICE_H */
