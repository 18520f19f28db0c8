-- tomorrow's rows are of the same kind; those of a clinic that measures less are not
SELECT item, kind, n, round(psi::numeric, 1) AS psi, round(missing_then::numeric, 2) AS missing_then, round(missing_now::numeric, 2) AS missing_now, verdict
FROM idla_drift('heart_risk', 'SELECT patient, centre, age, sex, chest_pain, resting_bp, cholesterol, high_fasting_sugar, resting_ecg,
	max_heart_rate, exercise_angina, st_depression, st_slope, NULL::int AS vessels, NULL::text AS thallium_scan FROM tomorrow')
WHERE verdict <> 'stable' AND kind <> 'answer';
