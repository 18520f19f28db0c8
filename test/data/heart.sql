-- heart.sql: the table heart from heart.csv; run by psql in the root of the tree. See README.md for the source.
CREATE TABLE heart (
    patient            integer PRIMARY KEY,
    centre             text NOT NULL,
    age                integer NOT NULL,
    sex                text NOT NULL,
    chest_pain         text NOT NULL,
    resting_bp         integer,
    cholesterol        integer,
    high_fasting_sugar boolean,
    resting_ecg        text,
    max_heart_rate     integer,
    exercise_angina    boolean,
    st_depression      double precision,
    st_slope           text,
    vessels            integer,
    thallium_scan      text,
    disease            boolean NOT NULL
);
COMMENT ON TABLE heart IS 'patients referred for coronary angiography, four centres, 1981 to 1987';
COMMENT ON COLUMN heart.resting_bp IS 'systolic blood pressure at admission, mm Hg';
COMMENT ON COLUMN heart.cholesterol IS 'serum cholesterol, mg/dl';
COMMENT ON COLUMN heart.high_fasting_sugar IS 'fasting blood sugar above 120 mg/dl';
COMMENT ON COLUMN heart.max_heart_rate IS 'highest heart rate reached, beats a minute';
COMMENT ON COLUMN heart.st_depression IS 'ST depression induced by exercise relative to rest, mm';
COMMENT ON COLUMN heart.vessels IS 'major vessels coloured by fluoroscopy, 0 to 3';
COMMENT ON COLUMN heart.disease IS 'a major vessel narrowed by more than half';
\copy heart FROM 'test/data/heart.csv' WITH (FORMAT csv, HEADER)
ANALYZE heart;
