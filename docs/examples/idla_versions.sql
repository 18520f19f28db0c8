SELECT model, version, in_service, status, task, split_part(architecture, ':', 1) AS architecture, target, rows FROM idla_versions;
