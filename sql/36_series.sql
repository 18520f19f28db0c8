-- Answering for an entity, a patient, from its rows (src/pg/series_predict.c). Groups are entities: GROUP BY patient.

CREATE FUNCTION idla_series_transition(internal, model regclass, input record)
RETURNS internal LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idla_series_transition';
CREATE FUNCTION idla_series_transition(internal, model regclass, input record, output text)
RETURNS internal LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idla_series_transition';
CREATE FUNCTION idla_series_transition(internal, model regclass, input record, output text, version int)
RETURNS internal LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idla_series_transition';

COMMENT ON FUNCTION idla_series_transition(internal, regclass, record) IS
'Part of idla_predict_series and its like: takes a row.';
COMMENT ON FUNCTION idla_series_transition(internal, regclass, record, text) IS
'Part of idla_predict_series and its like: takes a row.';
COMMENT ON FUNCTION idla_series_transition(internal, regclass, record, text, int) IS
'Part of idla_predict_series and its like: takes a row.';

CREATE FUNCTION idla_series_transition(internal, regclass, record, int)
RETURNS internal LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idla_series_transition_version';

COMMENT ON FUNCTION idla_series_transition(internal, regclass, record, int) IS
'Part of idla_embed_series: takes a row.';

CREATE FUNCTION idla_series_combine(internal, internal)
RETURNS internal LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idla_series_combine';

COMMENT ON FUNCTION idla_series_combine(internal, internal) IS
'Part of idla_predict_series and its like: joins what parallel workers have gathered.';

CREATE FUNCTION idla_series_serial(internal)
RETURNS bytea LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idla_series_serial';

COMMENT ON FUNCTION idla_series_serial(internal) IS
'Part of idla_predict_series and its like: what a parallel worker has gathered, as bytes.';

CREATE FUNCTION idla_series_deserial(bytea, internal)
RETURNS internal LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'idla_series_deserial';

COMMENT ON FUNCTION idla_series_deserial(bytea, internal) IS
'Part of idla_predict_series and its like: the way back.';

CREATE FUNCTION idla_series_predict(internal)
RETURNS float8 LANGUAGE c STABLE PARALLEL SAFE COST 1000
AS 'MODULE_PATHNAME', 'idla_series_predict';

COMMENT ON FUNCTION idla_series_predict(internal) IS
'Part of idla_predict_series: the answer.';

CREATE AGGREGATE idla_predict_series(model regclass, input record)
(SFUNC = idla_series_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = idla_series_predict, COMBINEFUNC = idla_series_combine,
	SERIALFUNC = idla_series_serial, DESERIALFUNC = idla_series_deserial, PARALLEL = SAFE);
CREATE AGGREGATE idla_predict_series(model regclass, input record, output text)
(SFUNC = idla_series_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = idla_series_predict, COMBINEFUNC = idla_series_combine,
	SERIALFUNC = idla_series_serial, DESERIALFUNC = idla_series_deserial, PARALLEL = SAFE);
CREATE AGGREGATE idla_predict_series(model regclass, input record, output text, version int)
(SFUNC = idla_series_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = idla_series_predict, COMBINEFUNC = idla_series_combine,
	SERIALFUNC = idla_series_serial, DESERIALFUNC = idla_series_deserial, PARALLEL = SAFE);

COMMENT ON AGGREGATE idla_predict_series(regclass, record) IS
'The answer of a model of series for the entity whose rows are aggregated: probability of the positive class, value, or hazard ratio.';
COMMENT ON AGGREGATE idla_predict_series(regclass, record, text) IS
'The same for the class or target that is named.';
COMMENT ON AGGREGATE idla_predict_series(regclass, record, text, int) IS
'The same of a version that need not be in service.';

CREATE FUNCTION idla_series_classify(internal)
RETURNS text LANGUAGE c STABLE PARALLEL SAFE COST 1000
AS 'MODULE_PATHNAME', 'idla_series_classify';

COMMENT ON FUNCTION idla_series_classify(internal) IS
'Part of idla_classify_series: the answer.';

CREATE AGGREGATE idla_classify_series(model regclass, input record)
(SFUNC = idla_series_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = idla_series_classify, COMBINEFUNC = idla_series_combine,
	SERIALFUNC = idla_series_serial, DESERIALFUNC = idla_series_deserial, PARALLEL = SAFE);

COMMENT ON AGGREGATE idla_classify_series(regclass, record) IS
'The class that a model of series gives the entity whose rows are aggregated.';

CREATE FUNCTION idla_series_probabilities(internal)
RETURNS jsonb LANGUAGE c STABLE PARALLEL SAFE COST 1000
AS 'MODULE_PATHNAME', 'idla_series_probabilities';

COMMENT ON FUNCTION idla_series_probabilities(internal) IS
'Part of idla_probabilities_series: the answer.';

CREATE AGGREGATE idla_probabilities_series(model regclass, input record)
(SFUNC = idla_series_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = idla_series_probabilities, COMBINEFUNC = idla_series_combine,
	SERIALFUNC = idla_series_serial, DESERIALFUNC = idla_series_deserial, PARALLEL = SAFE);

COMMENT ON AGGREGATE idla_probabilities_series(regclass, record) IS
'The probability of every class for the entity whose rows are aggregated, {"label": p, ...}.';

CREATE FUNCTION idla_series_embed(internal)
RETURNS real[] LANGUAGE c STABLE PARALLEL SAFE COST 1000
AS 'MODULE_PATHNAME', 'idla_series_embed';

COMMENT ON FUNCTION idla_series_embed(internal) IS
'Part of idla_embed_series: the answer.';

CREATE AGGREGATE idla_embed_series(model regclass, input record)
(SFUNC = idla_series_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = idla_series_embed, COMBINEFUNC = idla_series_combine,
	SERIALFUNC = idla_series_serial, DESERIALFUNC = idla_series_deserial, PARALLEL = SAFE);
CREATE AGGREGATE idla_embed_series(model regclass, input record, version int)
(SFUNC = idla_series_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = idla_series_embed, COMBINEFUNC = idla_series_combine,
	SERIALFUNC = idla_series_serial, DESERIALFUNC = idla_series_deserial, PARALLEL = SAFE);

COMMENT ON AGGREGATE idla_embed_series(regclass, record) IS
'What the networks of a model of series know of the entity whose rows are aggregated before their last layers decide, as idla_embed gives it of a row.';
COMMENT ON AGGREGATE idla_embed_series(regclass, record, int) IS
'The same of a version that need not be in service.';

CREATE TYPE idla_series_part AS (feature text, starts float8, value float8, contribution float8);

COMMENT ON TYPE idla_series_part IS
'A part of an answer: a column or channel as a whole, or a channel in the bin that starts so long before the prediction time.';

CREATE FUNCTION idla_series_explain(internal)
RETURNS idla_series_part[] LANGUAGE c STABLE PARALLEL SAFE COST 100000
AS 'MODULE_PATHNAME', 'idla_series_explain';

COMMENT ON FUNCTION idla_series_explain(internal) IS
'Part of idla_explain_series: the answer.';

CREATE AGGREGATE idla_explain_series(model regclass, input record)
(SFUNC = idla_series_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = idla_series_explain, COMBINEFUNC = idla_series_combine,
	SERIALFUNC = idla_series_serial, DESERIALFUNC = idla_series_deserial, PARALLEL = SAFE);
CREATE AGGREGATE idla_explain_series(model regclass, input record, output text)
(SFUNC = idla_series_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = idla_series_explain, COMBINEFUNC = idla_series_combine,
	SERIALFUNC = idla_series_serial, DESERIALFUNC = idla_series_deserial, PARALLEL = SAFE);

COMMENT ON AGGREGATE idla_explain_series(regclass, record) IS
'What each channel in each bin, each channel''s statistics and each column adds to the score of an entity, largest first.';
COMMENT ON AGGREGATE idla_explain_series(regclass, record, text) IS
'The same for the class or target that is named.';
