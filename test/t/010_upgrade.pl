# pg_upgrade: models, deployments, views and whatever else idla keeps come along. From this server to itself, or from an older one whose folder
# (the one with bin, lib and share) IDLA_UPGRADE_FROM names, with idla installed in it.
use strict;
use warnings;
use IdlaNode;
use PostgreSQL::Test::Utils;
use Test::More;

my @from = $ENV{IDLA_UPGRADE_FROM} ? (install_path => $ENV{IDLA_UPGRADE_FROM}) : ();
my $old = start_node_of('old', \@from, 'fsync = off');
my $new = start_node_of('new', [], 'fsync = off');

$old->safe_psql('postgres', 'CREATE ROLE owner; CREATE ROLE bi; CREATE EXTENSION idla; CREATE SCHEMA clinic; GRANT ALL ON SCHEMA public, clinic TO owner');
make_patients($old, 'postgres', 400);
$old->safe_psql('postgres', <<'END');
SET idla.progress = off;
GRANT SELECT ON patients, source TO owner;
SET ROLE owner;
SELECT idla_train('risk', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 3, "seed": 1}');
SELECT idla_train('risk', 'source', 'sick', architecture => 'tabm', options => '{"epochs": 3, "seed": 2}');
SELECT idla_train('clinic.stay', 'SELECT age, sex, pressure, stay FROM patients', 'stay', 'regression', 'linear', '{"epochs": 3, "seed": 3}');
SELECT idla_deploy('risk', 2, share => 0.5);
GRANT SELECT (version, in_service, card) ON risk TO bi;
COMMENT ON TABLE risk IS 'who is sick';
CREATE VIEW risk_of_all AS SELECT id, idla_predict('risk', p) AS risk, idla_classify('risk', p, version => 1) AS class FROM patients p;
CREATE MATERIALIZED VIEW risk_of_some AS SELECT id, idla_predict('risk', p) AS risk FROM patients p WHERE id <= 10;
CREATE TABLE fresh (id int, age int, sex text, pressure numeric, risk float8);
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.risk := idla_predict('risk', NEW); RETURN NEW; END $$;
CREATE TRIGGER fill BEFORE INSERT ON fresh FOR EACH ROW EXECUTE FUNCTION fill();
SELECT idla_log('risk', key => 'id');
SELECT count(idla_predict('risk', p)) FROM patients p WHERE id <= 20;
SELECT idla_log('risk', 0);
SELECT idla_log('clinic.stay', 0.25, 'id');
SELECT idla_log_flush();
END

# Whatever one can see of models, as one text a line.
my @seen = (
	"SELECT md5(string_agg(encode(float8send(risk), 'hex') || class, ' ' ORDER BY id)) FROM risk_of_all",
	"SELECT md5(string_agg(encode(float8send(idla_predict('clinic.stay', p)), 'hex'), ' ' ORDER BY id)) FROM patients p",
	'SELECT schema, model, owner, versions, in_service, task, architecture, target, metric, value, rows, trained_at, comment FROM idla_models',
	'SELECT * FROM idla_deployments',
	'SELECT * FROM idla_log_settings',
	"SELECT count(*), md5(string_agg(p::text, ' ' ORDER BY time)) FROM idla_predictions p WHERE model = 'risk'::regclass",
	"SELECT has_column_privilege('bi', 'risk', 'card', 'SELECT'), has_column_privilege('bi', 'risk', 'weights', 'SELECT')",
	'SELECT count(*) FROM risk_of_all JOIN risk_of_some USING (id, risk)',
	"INSERT INTO fresh SELECT id, age, sex, pressure FROM patients WHERE id <= 3; SELECT risk FROM fresh ORDER BY id; DELETE FROM fresh",
	"SELECT idla_export('risk') = idla_export('risk', 'safetensors', 2), md5(idla_export('risk', 'safetensors', 1))");
my @before = map { $old->safe_psql('postgres', $_) } @seen;

$old->stop;
$new->stop;
chdir(PostgreSQL::Test::Utils::tempdir) or die;
command_ok(
	[ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
		'-s', $new->host, '-p', $old->port, '-P', $new->port ],
	'pg_upgrade');
$new->start;
for my $i (0 .. $#seen)
{
	is($new->safe_psql('postgres', $seen[$i]), $before[$i], "the same: $seen[$i]");
}
is( $new->safe_psql('postgres', "SELECT idla_log('risk'); SELECT count(idla_predict('risk', p)) FROM patients p WHERE id <= 10; SELECT idla_log_flush(); SELECT count(*) FILTER (WHERE served) FROM idla_predictions WHERE model = 'risk'::regclass; SELECT idla_log('risk', 0)"),
	"\n10\n\n30\n1", 'the log goes on');
is($new->safe_psql('postgres', "SET idla.progress = off; SELECT version FROM idla_train('risk', 'source', 'sick', architecture => 'linear', options => '{\"epochs\": 2}')"), '3', 'the next version follows');
is($new->safe_psql('postgres', 'DROP EXTENSION idla CASCADE; SELECT count(*) FROM risk'), '8', 'and models stay tables');
$new->stop;

done_testing();
