-- xrays.sql: the table xrays from xrays.csv; run by psql in the root of the tree. See README.md for the source.
CREATE TABLE xrays (
    xray      integer PRIMARY KEY,
    part      text NOT NULL,
    pneumonia boolean NOT NULL,
    image     bytea NOT NULL
);
COMMENT ON TABLE xrays IS 'chest X-rays of children, 28 x 28 pixels';
COMMENT ON COLUMN xrays.part IS 'train, or test: other children';
COMMENT ON COLUMN xrays.image IS 'PNG, 8-bit grey';
\copy xrays (xray, part, pneumonia, image) FROM 'test/data/xrays.csv' WITH (FORMAT csv, HEADER)
ANALYZE xrays;
