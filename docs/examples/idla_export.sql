-- the whole model as a file of a client: psql -AtXc "SELECT encode(idla_export('heart_risk'), 'base64')" | base64 -d > heart_risk.safetensors
SELECT length(idla_export('heart_risk')) > 100000 AS whole, length(idla_export('heart_risk', 'onnx')) > 100000 AS onnx;
-- its header is JSON: manifest and card are among the metadata, tensors have names
WITH file AS (SELECT idla_export('heart_risk') AS f),
     header AS (SELECT convert_from(substr(f, 9, get_byte(f, 0) + 256 * get_byte(f, 1) + 65536 * get_byte(f, 2)), 'UTF8')::jsonb AS h FROM file)
SELECT (h -> '__metadata__' ->> 'idla.card')::jsonb ->> 'target' AS target, h #> '{net0/head.bias,shape}' AS shape FROM header;
