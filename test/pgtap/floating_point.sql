-- floating_point.sql: loading idla and OpenBLAS leaves the backend's own arithmetic as it was (no flushing of tiny numbers to zero).
\set QUIET on
SET client_min_messages = warning;
BEGIN;
SELECT plan(4);
LOAD 'idla';
SELECT is(1e-300::float8 * 1e-10::float8, 1e-310::float8, 'a product below the normal range is kept after LOAD');
CREATE TABLE rows AS SELECT i AS x, i % 7 AS y, (i % 3 = 0) AS label FROM generate_series(1, 300) i;
SELECT lives_ok($$ SELECT * FROM idla_train('tiny', 'rows', 'label', architecture => 'linear', options => '{"epochs": 2}') $$, 'a training uses the engine');
SELECT is(1e-300::float8 * 1e-10::float8, 1e-310::float8, 'and is kept after training');
SELECT is((0.1::float8 + 0.2::float8)::text, '0.30000000000000004', 'rounding is to the nearest');
SELECT * FROM finish();
ROLLBACK;
