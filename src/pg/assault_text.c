/*
 * assault_text.c: texts under attack, as the host has them.
 *
 * A model sees pieces; what is misspelled is the text itself. So rows must be known as the host has them, those of no table too: of these the
 * texts alone are kept. A text that its column or its table does not take is never kept.
 */
#include "robust.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Arrays of tokens stay: their elements would have to be told apart again. */
bool
idla_assault_takes_text(Oid type)
{
	Oid			base = getBaseType(type);

	return base == TEXTOID || base == VARCHAROID || base == BPCHAROID;
}

/* Rows of no table: a column for each text. */
static TupleDesc
describe_texts(const IdlaAssault *assault)
{
	const IdlaColumns *columns = &assault->model->columns;
	TupleDesc	desc;
	AttrNumber	n = 0;

	for (int i = 0; i < columns->n; i++)
		n += columns->columns[i].kind == IDLA_TEXT;
	desc = CreateTemplateTupleDesc(n);
	n = 0;
	for (int i = 0; i < columns->n; i++)
		if (columns->columns[i].kind == IDLA_TEXT)
			TupleDescInitEntry(desc, ++n, columns->columns[i].name, TEXTOID, -1, 0);
	return desc;
}

void
idla_assault_texts_create(IdlaAssault *assault, const bool *fixed)
{
	const IdlaColumns *columns = &assault->model->columns;
	size_t		n_fields = (size_t) Max(columns->n_fields, 1);

	assault->texts = palloc0(sizeof(LearnTextAttacker *) * n_fields);
	assault->text_attributes = palloc0(sizeof(int) * n_fields);
	if (assault->options->max_words == 0)
		return;
	for (int i = 0; i < columns->n; i++)
	{
		int			field = columns->columns[i].field;
		int			attribute;

		if (columns->columns[i].kind != IDLA_TEXT || fixed[field])
			continue;
		if (assault->rewriter == NULL && assault->text_desc == NULL)
			assault->text_desc = describe_texts(assault);
		attribute = idla_attribute_find(idla_assault_desc(assault), columns->columns[i].name);
		if (attribute < 0 || !idla_assault_takes_text(TupleDescAttr(idla_assault_desc(assault), attribute)->atttypid))
			continue;
		assault->text_attributes[field] = attribute;
		idla_check(assault->work, learn_text_attacker_create(assault->work->session, assault->oracle, &columns->fields[field], field,
															 assault->max_rows, &assault->texts[field]));
	}
	assault->given = idla_assault_allocate(assault->work, assault->max_rows, sizeof(LearnBytes));
	assault->stored = idla_assault_allocate(assault->work, assault->max_rows, sizeof(LearnBytes));
}

bool
idla_assault_needs_text(const IdlaAssault *assault, int attribute)
{
	for (int i = 0; i < assault->model->learn.n_fields; i++)
		if (assault->texts[i] != NULL && assault->text_attributes[i] == attribute)
			return true;
	return false;
}

/* The batch's texts in UTF-8, of the batch's memory. */
static void
give_texts(IdlaAssault *assault, int number, const float *epsilons)
{
	size_t		n_fields = (size_t) assault->model->learn.n_fields;
	size_t		natts = (size_t) idla_assault_desc(assault)->natts;

	for (size_t row = 0; row < assault->n; row++)
	{
		size_t		at = row * natts + (size_t) assault->text_attributes[number];
		struct varlena *text;
		char	   *utf8;

		assault->given[row] = (LearnBytes) {NULL, 0};
		assault->stored[row] = assault->fields[row * n_fields + (size_t) number];
		if (assault->own_nulls[at] || !(epsilons[row] > 0) || assault->stuck[row])
			continue;
		text = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(assault->own_values[at]));
		utf8 = pg_server_to_any(VARDATA_ANY(text), (int) VARSIZE_ANY_EXHDR(text), PG_UTF8);
		assault->given[row] = (LearnBytes) {utf8, utf8 == VARDATA_ANY(text) ? VARSIZE_ANY_EXHDR(text) : strlen(utf8)};
	}
}

/* A changed text on its way into its column. */
typedef struct Writing
{
	IdlaAssault *assault;
	int			column;
	LearnBytes	text;
	Datum		value;
} Writing;

static void
write_text(void *context)
{
	Writing    *writing = context;
	char	   *utf8 = pnstrdup(writing->text.bytes, writing->text.size);

	writing->value = idla_rewrite_text(writing->assault->rewriter, writing->column, pg_any_to_server(utf8, (int) writing->text.size, PG_UTF8));
}

/* One text column under attack. */
typedef struct Moving
{
	IdlaAssault *assault;
	int			number;			/* of the field */
	int			column;
} Moving;

/* Whether the host takes a text of a row: then it is what the row has. */
static DevStatus
judge_text(void *context, size_t row, LearnBytes text, bool *allowed)
{
	const Moving *moving = context;
	IdlaAssault *assault = moving->assault;
	size_t		at = row * (size_t) assault->model->learn.n_fields + (size_t) moving->number;
	Datum		before = assault->field_values[at];
	bool		written = assault->field_written[at];
	Writing		writing = {assault, moving->column, text, (Datum) 0};
	ErrorData  *refused;
	DevStatus	status = idla_guarded(assault->work, write_text, &writing, &refused);

	*allowed = status == DEV_OK && refused == NULL;
	if (refused != NULL)
		FreeErrorData(refused);
	if (!*allowed)
		return status;
	assault->field_values[at] = writing.value;
	assault->field_written[at] = true;
	if (assault->checks != NULL)
		status = idla_assault_ask(assault, row, assault->changed + row * (size_t) assault->model->learn.n_channels, allowed);
	if (*allowed && status == DEV_OK)
		return DEV_OK;
	assault->field_values[at] = before;
	assault->field_written[at] = written;
	return status;
}

static DevStatus
move_text(IdlaAssault *assault, int number, const float *epsilons, uint8_t *fooled)
{
	const IdlaColumns *columns = &assault->model->columns;
	Moving		moving = {assault, number, 0};
	LearnTextReferee referee = {.context = &moving, .judge = judge_text};

	while (columns->columns[moving.column].field != number)
		moving.column++;
	give_texts(assault, number, epsilons);
	return learn_text_attack(assault->texts[number], assault->options->max_words, assault->rewriter == NULL ? NULL : &referee, assault->n,
							 assault->given, assault->stored, assault->numbers, assault->codes,
							 (uint64_t) assault->options->seed + (uint64_t) number, assault->first, fooled);
}

DevStatus
idla_assault_texts(IdlaAssault *assault, const float *epsilons, uint8_t *fooled)
{
	MemoryContext caller = MemoryContextSwitchTo(assault->batch);
	DevStatus	status = DEV_OK;

	for (int i = 0; i < assault->model->learn.n_fields && status == DEV_OK; i++)
		if (assault->texts[i] != NULL)
			status = move_text(assault, i, epsilons, fooled);
	MemoryContextSwitchTo(caller);
	return status;
}

bool
idla_assault_text_changed(const IdlaAssault *assault, size_t row)
{
	LearnBytes	text;

	for (int i = 0; i < assault->model->learn.n_fields; i++)
		if (assault->texts[i] != NULL && learn_text_attacked(assault->texts[i], row, &text))
			return true;
	return false;
}

void
idla_assault_texts_restore(IdlaAssault *assault, size_t row)
{
	for (int i = 0; i < assault->model->learn.n_fields; i++)
		if (assault->texts[i] != NULL)
			learn_text_restore(assault->texts[i], row);
}
