SELECT model, version, in_service, task, architecture, rows FROM idla_versions;
