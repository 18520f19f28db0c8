-- wdbc.sql: the table wdbc from wdbc.csv; run by psql in the root of the tree. See README.md for the source.
CREATE TABLE wdbc (
    sample                  integer PRIMARY KEY,
    radius_mean             double precision NOT NULL,
    texture_mean            double precision NOT NULL,
    perimeter_mean          double precision NOT NULL,
    area_mean               double precision NOT NULL,
    smoothness_mean         double precision NOT NULL,
    compactness_mean        double precision NOT NULL,
    concavity_mean          double precision NOT NULL,
    concave_points_mean     double precision NOT NULL,
    symmetry_mean           double precision NOT NULL,
    fractal_dimension_mean  double precision NOT NULL,
    radius_error            double precision NOT NULL,
    texture_error           double precision NOT NULL,
    perimeter_error         double precision NOT NULL,
    area_error              double precision NOT NULL,
    smoothness_error        double precision NOT NULL,
    compactness_error       double precision NOT NULL,
    concavity_error         double precision NOT NULL,
    concave_points_error    double precision NOT NULL,
    symmetry_error          double precision NOT NULL,
    fractal_dimension_error double precision NOT NULL,
    radius_worst            double precision NOT NULL,
    texture_worst           double precision NOT NULL,
    perimeter_worst         double precision NOT NULL,
    area_worst              double precision NOT NULL,
    smoothness_worst        double precision NOT NULL,
    compactness_worst       double precision NOT NULL,
    concavity_worst         double precision NOT NULL,
    concave_points_worst    double precision NOT NULL,
    symmetry_worst          double precision NOT NULL,
    fractal_dimension_worst double precision NOT NULL,
    diagnosis               text NOT NULL
);
COMMENT ON TABLE wdbc IS 'cell nuclei in fine needle aspirates of breast masses';
\copy wdbc FROM 'test/data/wdbc.csv' WITH (FORMAT csv, HEADER)
ANALYZE wdbc;
