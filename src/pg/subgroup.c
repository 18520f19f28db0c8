/*
 * subgroup.c: the column that tells subgroups apart, while a training source is read.
 *
 * It need not be an input, and where it is one its values are gone once they are encoded: so the row's subgroup is kept as
 * a number beside the data set. A subgroup is known by the text of its value, which is the same for a number, a boolean or a
 * word in every session.
 */
#include "conformal.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

void
idla_subgroup_check(const char *column, Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case CHAROID:
		case NAMEOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case UUIDOID:
			return;
		default:
			if (type_is_enum(type))
				return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of type %s cannot tell subgroups apart", column, format_type_be(type)),
			 errhint("It has to be a text, an integer, a boolean or an enum of few values; make one of it in a view.")));
}

char *
idla_subgroup_name(FmgrInfo *output, Oid type, Datum value)
{
	char	   *name = OutputFunctionCall(output, value);

	/* Blanks at the end of char(n) mean nothing. */
	if (type == BPCHAROID)
	{
		size_t		length = strlen(name);

		while (length > 0 && name[length - 1] == ' ')
			name[--length] = '\0';
	}
	return name;
}

IdlaSubgroups *
idla_subgroups_create(const char *by, int attribute, Oid type)
{
	IdlaSubgroups *subgroups = palloc0(sizeof(IdlaSubgroups));
	Oid			output;
	bool		is_varlena;

	idla_subgroup_check(by, type);
	getTypeOutputInfo(type, &output, &is_varlena);
	fmgr_info(output, &subgroups->output);
	subgroups->context = CurrentMemoryContext;
	subgroups->by = pstrdup(by);
	subgroups->attribute = attribute;
	subgroups->type = type;
	subgroups->names = palloc0(sizeof(char *) * LEARN_CONFORMAL_MOST_GROUPS);
	subgroups->capacity = 1024;
	subgroups->codes = palloc(sizeof(uint32) * subgroups->capacity);
	return subgroups;
}

static uint32
number_of(IdlaSubgroups *subgroups, const char *name)
{
	for (int i = 0; i < subgroups->n; i++)
		if (strcmp(subgroups->names[i], name) == 0)
			return (uint32) i;
	if (strlen(name) > IDLA_LONGEST_SUBGROUP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has a value of %zu bytes, which is no name of a subgroup", subgroups->by, strlen(name)),
				 errdetail("A subgroup's name has at most %d bytes.", IDLA_LONGEST_SUBGROUP)));
	if (subgroups->n == LEARN_CONFORMAL_MOST_GROUPS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has more than %d values: too many subgroups", subgroups->by, LEARN_CONFORMAL_MOST_GROUPS),
				 errdetail("Each subgroup needs %d rows of its own that training does not learn from.", LEARN_CONFORMAL_LEAST_GROUP),
				 errhint("Make fewer of them in a view, for example with width_bucket() or CASE.")));
	subgroups->names[subgroups->n] = MemoryContextStrdup(subgroups->context, name);
	return (uint32) subgroups->n++;
}

void
idla_subgroups_add(IdlaSubgroups *subgroups, const Datum *values, const bool *isnull, uint64 row)
{
	if (row >= subgroups->capacity)
	{
		subgroups->capacity *= 2;
		subgroups->codes = repalloc_huge(subgroups->codes, sizeof(uint32) * subgroups->capacity);
	}
	subgroups->codes[row] = isnull[subgroups->attribute] ? LEARN_NO_GROUP :
		number_of(subgroups, idla_subgroup_name(&subgroups->output, subgroups->type, values[subgroups->attribute]));
}
