# A training backend killed hard leaves nothing; the server comes back with every model that was committed.
use strict;
use warnings;
use IdlaNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('main', 'restart_after_crash = on', 'remove_temp_files_after_crash = on');

$node->safe_psql('postgres', 'CREATE EXTENSION idla');
make_patients($node, 'postgres', 400);
$node->safe_psql('postgres', "CREATE TABLE big AS SELECT p.*, g FROM patients p, generate_series(1, 100) g; CREATE VIEW big_source AS SELECT age, sex, pressure, g, sick FROM big");
$node->safe_psql('postgres', "SET idla.progress = off; SELECT idla_train('old', 'source', 'sick', architecture => 'mlp', options => '{\"epochs\": 2, \"seed\": 1}')");
my $answers = "SELECT md5(string_agg(encode(float8send(idla_predict('old', p)), 'hex'), ' ' ORDER BY id)) FROM patients p";
my $expected = $node->safe_psql('postgres', $answers);
my $files = "SELECT count(*) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres')) f WHERE f ~ '^[0-9]+\$' AND NOT EXISTS (SELECT FROM pg_class c WHERE pg_relation_filenode(c.oid) = f::oid)";

# Spilling, so that there is a temporary file to leave behind, and in a transaction that already wrote a version.
my $session = start_session($node, 'postgres', 'victim', <<'END');
SET idla.progress = off;
SET idla.train_memory = '1MB';
BEGIN;
SELECT version FROM idla_train('old', 'source', 'sick', architecture => 'linear', options => '{"epochs": 2}');
SELECT idla_train('new', 'big_source', 'sick', architecture => 'tabm', options => '{"epochs": 100000, "patience": 0, "folds": 1}');
END
ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM idla_progress WHERE model = 'new' AND phase = 'training')", $session), 'a training is under way');
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'");
like($pid, qr/^\d+$/, 'and has a process');
kill 'KILL', $pid;
finish_session($session);
like($session->{err}, qr/server closed the connection|connection to server was lost/, 'which is killed');

ok($node->poll_query_until('postgres', 'SELECT true'), 'the server recovers');
is($node->safe_psql('postgres', "SELECT to_regclass('new') IS NULL"), 't', 'no model of the killed training');
is($node->safe_psql('postgres', "SELECT versions, in_service FROM idla_models WHERE model = 'old'::regclass"), '1|1', 'no version of its transaction');
is($node->safe_psql('postgres', 'SELECT count(*) FROM idla_progress'), '0', 'no progress');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'no temporary file');
is($node->safe_psql('postgres', $answers), $expected, 'the committed model predicts the same bits');
is($node->safe_psql('postgres', "SET idla.progress = off; SELECT version FROM idla_train('old', 'source', 'sick', architecture => 'linear', options => '{\"epochs\": 2}')"), '2', 'and can be trained on');

# A crash right after a commit loses nothing.
$node->safe_psql('postgres', "SELECT idla_deploy('old', 2)");
my $second = $node->safe_psql('postgres', $answers);
isnt($second, $expected, 'the second version answers otherwise');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $answers), $second, 'a committed deploy survives a crash');

$node->stop;
done_testing();
