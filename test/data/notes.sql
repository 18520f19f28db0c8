-- notes.sql: the table notes from notes.csv; run by psql in the root of the tree. See README.md for the source.
CREATE TABLE notes (
    sentence integer PRIMARY KEY,
    part     text NOT NULL,
    tokens   text[] NOT NULL,
    tags     text[] NOT NULL
);
COMMENT ON TABLE notes IS 'sentences of PubMed abstracts in which the names of diseases are marked';
COMMENT ON COLUMN notes.part IS 'train, or test: other abstracts';
COMMENT ON COLUMN notes.tags IS 'one a token: B-Disease begins a name, I-Disease continues it, O is outside';
\copy notes FROM 'test/data/notes.csv' WITH (FORMAT csv, HEADER)
ANALYZE notes;
