# Models come through dump and restore as the tables they are, and predict the same bits afterwards.
use strict;
use warnings;
use IdlaNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('main');
my $folder = PostgreSQL::Test::Utils::tempdir;
# Every bit of every answer
my $answers = "SELECT md5(string_agg(encode(float8send(idla_predict('risk', p)), 'hex') || encode(float8send(idla_predict('clinic.stay', p)), 'hex'), ' ' ORDER BY id)) FROM patients p";
my $risk = "SELECT md5(string_agg(encode(float8send(idla_predict('risk', p)), 'hex'), ' ' ORDER BY id)) FROM patients p";

$node->safe_psql('postgres', 'CREATE ROLE owner; CREATE ROLE bi; CREATE DATABASE a; CREATE DATABASE b; CREATE DATABASE c; CREATE DATABASE d; CREATE DATABASE e');
$node->safe_psql('postgres', "CREATE DATABASE f ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
$node->safe_psql('a', 'CREATE EXTENSION idla; CREATE SCHEMA clinic; GRANT ALL ON SCHEMA public, clinic TO owner');
make_patients($node, 'a', 400);
$node->safe_psql('a', <<'END');
SET idla.progress = off;
GRANT SELECT ON patients, source TO owner;
SET ROLE owner;
SELECT idla_train('risk', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 3, "seed": 1}');
SELECT idla_train('risk', 'source', 'sick', architecture => 'tabm', options => '{"epochs": 3, "seed": 2}');
SELECT idla_train('clinic.stay', 'SELECT age, sex, pressure, stay FROM patients', 'stay', 'regression', 'linear', '{"epochs": 3, "seed": 3}');
SELECT idla_deploy('risk', 2);
GRANT SELECT (version, in_service, card) ON risk TO bi;
COMMENT ON TABLE risk IS 'who is sick';
CREATE VIEW risk_of_all AS SELECT id, idla_predict('risk', p) AS risk FROM patients p;
CREATE MATERIALIZED VIEW risk_of_some AS SELECT id, idla_predict('risk', p) AS risk FROM patients p WHERE id <= 10;
END
my $expected = $node->safe_psql('a', $answers);
my $expected_risk = $node->safe_psql('a', $risk);
my $listing = "SELECT schema, model, owner, versions, in_service, task, architecture, target, metric, value, rows, trained_at, comment FROM idla_models";
my $expected_list = $node->safe_psql('a', $listing);
is(lines_of("$expected_list\n"), 2, 'two models are listed');

# ---- a whole database ----

$node->command_ok([ 'pg_dump', '-d', $node->connstr('a'), '-f', "$folder/a.sql" ], 'pg_dump, plain');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('b'), '-f', "$folder/a.sql" ], 'restored');
is($node->safe_psql('b', $answers), $expected, 'predicts the same bits');
is($node->safe_psql('b', $listing), $expected_list, 'the list is the same: owner, version in service, comment');
is($node->safe_psql('b', 'SELECT model, event, version, replaces, deployed_by FROM idla_deployments'), 'risk|service|2|1|owner', 'and who deployed');
is($node->safe_psql('b', "SELECT has_column_privilege('bi', 'risk', 'card', 'SELECT'), has_column_privilege('bi', 'risk', 'weights', 'SELECT')"), 't|f', 'column grants came along');
is($node->safe_psql('b', "SELECT count(*) FROM risk_of_all JOIN risk_of_some USING (id, risk)"), '10', 'views came along');
is($node->safe_psql('b', "SET ROLE bi; SELECT count(idla_predict('risk', p)) FROM (SELECT 50 AS age, 'f' AS sex, 120 AS pressure) p"), '1', 'who could predict still can');
my ($status, $out, $error) = $node->psql('b', 'DROP TABLE risk');
like($error, qr/view risk_of_all depends on table risk/, 'the view holds its model again');
($status, $out, $error) = $node->psql('b', "INSERT INTO risk SELECT 9, 0, true, card, manifest, weights FROM risk WHERE version = 2 AND chunk = 0");
like($error, qr/duplicate key/, 'still at most one version in service');
($status, $out, $error) = $node->psql('b', "INSERT INTO risk VALUES (9, 0, false, '{}', NULL, '')");
like($error, qr/idla_model/, 'the mark came along');
is($node->safe_psql('b', "SET idla.progress = off; SELECT version FROM idla_train('risk', 'source', 'sick', architecture => 'linear', options => '{\"epochs\": 2}')"), '3', 'the next version follows');

$node->command_ok([ 'pg_dump', '-Fc', '-d', $node->connstr('a'), '-f', "$folder/a.dump" ], 'pg_dump, custom');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('c'), '-j', '2', "$folder/a.dump" ], 'restored by two jobs');
is($node->safe_psql('c', $answers), $expected, 'predicts the same bits');

# ---- one model, the extension comes later ----

$node->command_ok([ 'pg_dump', '-d', $node->connstr('a'), '-t', 'risk', '-f', "$folder/risk.sql" ], 'pg_dump of one model');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('d'), '-f', "$folder/risk.sql" ], 'restored where idla is not');
make_patients($node, 'd', 400);
$node->safe_psql('d', 'CREATE EXTENSION idla');
is($node->safe_psql('d', $risk), $expected_risk, 'predicts the same bits once idla is there');
is($node->safe_psql('d', "SELECT model, versions, in_service FROM idla_models"), 'risk|2|2', 'and is listed');
is($node->safe_psql('d', "SELECT has_column_privilege('bi', 'risk', 'card', 'SELECT')"), 't', 'with its grants');

# ---- one model, the extension is there ----

$node->safe_psql('e', 'CREATE EXTENSION idla');
make_patients($node, 'e', 400);
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('e'), '-f', "$folder/risk.sql" ], 'restored where idla is');
is($node->safe_psql('e', $risk), $expected_risk, 'predicts the same bits');

# ---- one model of another schema, and one that is a copy ----

$node->safe_psql('a', "SELECT idla_copy('risk', 'clinic.kept', 1)");
$node->command_ok([ 'pg_dump', '-d', $node->connstr('a'), '-t', 'clinic.kept', '-t', 'clinic.stay', '-f', "$folder/clinic.sql" ], 'pg_dump of two models by their schema');
$node->safe_psql('a', 'DROP TABLE clinic.kept');
$node->safe_psql('e', 'CREATE SCHEMA clinic');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('e'), '-f', "$folder/clinic.sql" ], 'restored');
is($node->safe_psql('e', $answers), $expected, 'predicts the same bits');
is($node->safe_psql('e', "SELECT count(*) FROM patients p WHERE idla_predict('clinic.kept', p) = idla_predict('risk', p, 1)"), '400', 'so does the copy, as the version it was');
is($node->safe_psql('e', "SELECT card #>> '{origin,model}', card #>> '{origin,version}' FROM clinic.kept WHERE chunk = 0"), 'public.risk|1', 'and tells where it came from');

# ---- as files ----

my $onnx = "SELECT md5(idla_export('risk', 'onnx'))";
my $expected_onnx = $node->safe_psql('a', $onnx);
for my $copy ([ 'e', 'in the same encoding' ], [ 'f', 'in LATIN1' ])
{
	my ($database, $where) = @$copy;
	if ($database eq 'f')
	{
		$node->safe_psql('f', 'CREATE EXTENSION idla');
		make_patients($node, 'f', 400);
	}
	my $file = $node->safe_psql('a', "SELECT idla_export('risk')");
	append_to_file("$folder/$database.sql", "SELECT idla_import('filed', '$file');");
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', "$folder/$database.sql" ], "imported $where");
	(my $filed = $risk) =~ s/'risk'/'filed'/;
	is($node->safe_psql($database, $filed), $expected_risk, 'predicts the same bits');
	next if $database eq 'e';
	$node->safe_psql('f', 'ALTER TABLE filed RENAME TO risk');
	is($node->safe_psql('f', $onnx), $expected_onnx, 'and is exported to the same ONNX file');
	$node->safe_psql('f', 'DROP TABLE risk');
}

# ---- another encoding ----

$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('f'), '-f', "$folder/risk.sql" ], 'restored into LATIN1');
is($node->safe_psql('f', $risk), $expected_risk, 'predicts the same bits, categories beyond ASCII included');

# ---- the extension goes and comes ----

$node->safe_psql('a', 'DROP EXTENSION idla CASCADE');
is($node->safe_psql('a', "SELECT count(*), count(weights) > 0 FROM risk WHERE chunk >= 0"), '2|t', 'DROP EXTENSION CASCADE leaves the models');
is($node->safe_psql('a', "SELECT count(*) FROM pg_views WHERE viewname = 'risk_of_all'"), '0', 'and takes the views that predict');
$node->safe_psql('a', 'CREATE EXTENSION idla');
is($node->safe_psql('a', $listing), $expected_list, 'CREATE EXTENSION finds them again');
is($node->safe_psql('a', $answers), $expected, 'and they predict the same bits');

# ---- a role goes and leaves its models to another ----

$node->safe_psql('a', 'CREATE ROLE heir; REASSIGN OWNED BY owner TO heir; DROP OWNED BY owner');
is($node->safe_psql('a', "SELECT DISTINCT owner FROM idla_models"), 'heir', 'REASSIGN OWNED takes models along');

$node->stop;
done_testing();
