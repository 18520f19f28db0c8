SELECT model, number, event, version, share, replaces FROM idla_deployments WHERE model = 'heart_risk'::regclass;
