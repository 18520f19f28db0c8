-- beats.sql: the table beats from beats.csv; run by psql in the root of the tree. See README.md for the source.
CREATE TABLE beats (
    beat        integer PRIMARY KEY,
    record      integer NOT NULL,
    part        text NOT NULL,
    before      real NOT NULL,
    after       real NOT NULL,
    ecg         real[] NOT NULL,
    ventricular boolean NOT NULL
);
COMMENT ON TABLE beats IS 'heart beats of 22 patients, two leads of 64 samples at 120 Hz around the R wave';
COMMENT ON COLUMN beats.record IS 'of a patient';
COMMENT ON COLUMN beats.part IS 'train, or test: other patients';
COMMENT ON COLUMN beats.before IS 'seconds since the beat before';
COMMENT ON COLUMN beats.after IS 'seconds to the beat after';
COMMENT ON COLUMN beats.ecg IS 'hundredths of the record''s standard deviation';
\copy beats (beat, record, part, before, after, ecg, ventricular) FROM 'test/data/beats.csv' WITH (FORMAT csv, HEADER)
ANALYZE beats;
