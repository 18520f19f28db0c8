-- heart_failure.sql: the table heart_failure from heart_failure.csv; run by psql in the root of the tree. See README.md for the source.
CREATE TABLE heart_failure (
    patient                  integer PRIMARY KEY,
    age                      double precision NOT NULL,
    sex                      text NOT NULL,
    anaemia                  boolean NOT NULL,
    diabetes                 boolean NOT NULL,
    high_blood_pressure      boolean NOT NULL,
    smoking                  boolean NOT NULL,
    ejection_fraction        integer NOT NULL,
    platelets                double precision NOT NULL,
    serum_creatinine         double precision NOT NULL,
    serum_sodium             integer NOT NULL,
    creatinine_phosphokinase integer NOT NULL,
    follow_up_days           integer NOT NULL,
    died                     boolean NOT NULL
);
COMMENT ON TABLE heart_failure IS 'follow-up of patients with advanced heart failure, Faisalabad, 2015';
\copy heart_failure FROM 'test/data/heart_failure.csv' WITH (FORMAT csv, HEADER)
ANALYZE heart_failure;
