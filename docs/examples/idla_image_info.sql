-- four grey pixels; images may be in any column of type bytea
CREATE TABLE scans AS SELECT 1 AS scan, '\x89504e470d0a1a0a0000000d494844520000000200000002080000000057dd52f80000000e49444154789c6310686068f80000044602015d7bd0160000000049454e44ae426082'::bytea AS image;
SELECT scan, i.* FROM scans, idla_image_info(image) i;
