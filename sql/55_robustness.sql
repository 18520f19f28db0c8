-- Robustness: what a small change of a row does to its answer (src/pg/robustness.c, src/pg/attack.c).

CREATE FUNCTION idla_robustness(
	model regclass, source text, epsilons float8[] DEFAULT '{0.1,0.25,0.5,1}', options jsonb DEFAULT '{}',
	version int DEFAULT NULL)
RETURNS TABLE (measure text, epsilon float8, value float8, low float8, high float8, n bigint, detail text)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 15
AS 'MODULE_PATHNAME', 'idla_robustness';

COMMENT ON FUNCTION idla_robustness(regclass, text, float8[], jsonb, int) IS
'How robust a model is on the rows of a source: accuracy when they are attacked within each epsilon, the mean smallest change that fools it, the share of rows certified by randomised smoothing and their mean radius, and whether the attack''s gradients can be trusted. The rows of a table are attacked within all its constraints; texts are misspelled where option max_words allows it.';

CREATE FUNCTION idla_attack(
	model regclass, input anyelement, epsilon float8, options jsonb DEFAULT '{}', version int DEFAULT NULL)
RETURNS anyelement
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000000
AS 'MODULE_PATHNAME', 'idla_attack';

COMMENT ON FUNCTION idla_attack(regclass, anyelement, float8, jsonb, int) IS
'The row changed within epsilon so that the model errs most, of the same type, arrays, images and (option max_words) misspelled texts included: what may not change is the same, and the constraints of its table still hold.';
