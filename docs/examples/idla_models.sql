COMMENT ON TABLE heart_risk IS 'narrowed coronary vessel, before angiography';
SELECT model, versions, in_service, task, target, comment FROM idla_models;
