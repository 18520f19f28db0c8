-- as an application sends it; keys that the model does not read are ignored
SELECT idla_predict_json('heart_risk', '{"name": "N. N.", "centre": "Cleveland", "age": 58, "sex": "male", "chest_pain": "asymptomatic", "resting_bp": 150, "cholesterol": 270,
    "high_fasting_sugar": false, "resting_ecg": "normal", "max_heart_rate": 111, "exercise_angina": true, "st_depression": 0.8, "st_slope": null, "vessels": null, "thallium_scan": null}') > 0.5 AS at_risk;
