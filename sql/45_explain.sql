-- Explaining: why one row scores as it does (src/pg/explain*.c), and what matters over many (src/pg/evaluate.c).

CREATE FUNCTION idla_explain(
	model regclass, input record, method text DEFAULT 'integrated_gradients', top int DEFAULT 5,
	output text DEFAULT NULL, version int DEFAULT NULL)
RETURNS TABLE (
	prediction float8, baseline float8, rank int, feature text, value text, contribution float8,
	completeness_error float8, probability float8)
LANGUAGE c STABLE PARALLEL SAFE COST 100000 ROWS 5
AS 'MODULE_PATHNAME', 'idla_explain';

COMMENT ON FUNCTION idla_explain(regclass, record, text, int, text, int) IS
'What each column of a row adds to its prediction, largest first; prediction and baseline are log odds (classes), values (regression) or log hazard ratios (survival).';

CREATE FUNCTION idla_explain_parts(
	model regclass, input record, "column" text DEFAULT NULL, method text DEFAULT NULL, top int DEFAULT NULL,
	output text DEFAULT NULL, segments int DEFAULT NULL, version int DEFAULT NULL)
RETURNS TABLE (
	rank int, part text, first int, last int, channel text, value text, contribution float8, completeness_error float8)
LANGUAGE c STABLE PARALLEL SAFE COST 1000000 ROWS 50
AS 'MODULE_PATHNAME', 'idla_explain_parts';

COMMENT ON FUNCTION idla_explain_parts(regclass, record, text, text, int, text, int, int) IS
'What each part of an image, a signal or a text adds to a row''s prediction, largest first; the last row, without a rank, is everything else, so that all rows add up to prediction - baseline of idla_explain. segments: patches along each side of an image (7 by default), stretches of a signal''s time (16). A text is divided into its words. first and last count pixels row by row, samples of a lead, or characters, from 1. method: integrated_gradients or shapley; by default the first, but the second for rocket, whose features have no gradients.';

CREATE FUNCTION idla_explain_tags(
	model regclass, input text, method text DEFAULT NULL, top int DEFAULT 5, version int DEFAULT NULL)
RETURNS TABLE (
	entity_start int, entity_end int, entity text, label text, prediction float8, baseline float8, rank int, start int, "end" int,
	word text, contribution float8, completeness_error float8)
LANGUAGE c STABLE PARALLEL SAFE COST 1000000 ROWS 50
AS 'MODULE_PATHNAME', 'idla_explain_tags';

COMMENT ON FUNCTION idla_explain_tags(regclass, text, text, int, int) IS
'Which words speak for each entity that idla_tag finds in a text, largest first, and against it; positions are idla_tag''s. prediction is the log odds that just this entity stands there, baseline that of a text of unknown words; the last row of an entity, without a rank, is everything else, so that its rows add up to prediction - baseline. A word''s contribution is that of its spelling, affixes and shape together. Of a long text the window is explained that the entity was found in. method: integrated_gradients (the default) or shapley.';

CREATE FUNCTION idla_explain_tags(
	model regclass, tokens text[], method text DEFAULT NULL, top int DEFAULT 5, version int DEFAULT NULL)
RETURNS TABLE (
	entity_start int, entity_end int, entity text, label text, prediction float8, baseline float8, rank int, start int, "end" int,
	word text, contribution float8, completeness_error float8)
LANGUAGE c STABLE PARALLEL SAFE COST 1000000 ROWS 50
AS 'MODULE_PATHNAME', 'idla_explain_tags';

COMMENT ON FUNCTION idla_explain_tags(regclass, text[], text, int, int) IS
'The same for a sentence that is cut into tokens: positions count tokens, from 0.';

CREATE FUNCTION idla_explain_image(
	model regclass, input record, "column" text DEFAULT NULL, method text DEFAULT 'grad_cam', output text DEFAULT NULL,
	strength float8 DEFAULT 0.6, version int DEFAULT NULL)
RETURNS bytea
LANGUAGE c STABLE PARALLEL SAFE COST 1000000
AS 'MODULE_PATHNAME', 'idla_explain_image';

COMMENT ON FUNCTION idla_explain_image(regclass, record, text, text, text, float8, int) IS
'A PNG of an image as the model sees it, with what speaks for the prediction in red: by grad_cam, or by integrated_gradients, which show in blue what speaks against it. strength, 0 to 1: how much the colours cover.';

CREATE FUNCTION idla_importance(model regclass, source text, repeats int DEFAULT 5, version int DEFAULT NULL)
RETURNS TABLE (rank int, feature text, importance float8, deviation float8, metric text)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 30
AS 'MODULE_PATHNAME', 'idla_importance';

COMMENT ON FUNCTION idla_importance(regclass, text, int, int) IS
'How much worse the metric gets when a column is shuffled among the rows of a source: mean and standard deviation over repeats.';
