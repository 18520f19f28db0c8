# A table larger than idla.train_memory spills to a temporary file; when that may not grow, the training fails and leaves nothing.
use strict;
use warnings;
use IdlaNode;
use Test::More;

my $node = start_node('main');

$node->safe_psql('postgres', 'CREATE EXTENSION idla');
make_patients($node, 'postgres', 400);
# About 11 MB as float32, ten times the setting
$node->safe_psql('postgres', <<'END');
CREATE TABLE wide AS SELECT i, sin(i) AS a, cos(i * 3) AS b, (i * 7919) % 1009 AS c, sqrt(i) AS d, ln(i) AS e, (ARRAY['x', 'y', 'z'])[1 + i % 3] AS f,
	(i * 31) % 97 AS g, (i * 17) % 89 AS h, (i * 13) % 83 AS k, sin(i) + cos(i * 3) + ((i * 7919) % 1009) / 1009.0 > 0.5 AS sick
FROM generate_series(1, 250000) i;
CREATE VIEW source_wide AS SELECT a, b, c, d, e, f, g, h, k, sick FROM wide;
END
my $train = "SET idla.progress = off; SET idla.threads = 2; SELECT idla_train('%s', 'source_wide', 'sick', architecture => 'mlp', options => '{\"epochs\": 2, \"seed\": 1, \"batch\": 4096, \"width\": 32, \"folds\": 1}')";
my $before = $node->safe_psql('postgres', 'SELECT temp_files FROM pg_stat_database WHERE datname = current_database()');
$node->safe_psql('postgres', "SET idla.train_memory = '1GB'; " . sprintf($train, 'in_memory'));
$node->safe_psql('postgres', "SET idla.train_memory = '1MB'; " . sprintf($train, 'spilled'));
is($node->safe_psql('postgres', "SELECT count(DISTINCT manifest->>'weights_sha256') FROM (SELECT manifest FROM in_memory UNION ALL SELECT manifest FROM spilled) m"), '1', 'the weights are the same bits, spilled or not');
ok($node->poll_query_until('postgres', "SELECT temp_files > $before FROM pg_stat_database WHERE datname = current_database()"), 'and one of the two did spill');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'the temporary file is gone');

# ---- temp_file_limit ----

my ($status, $out, $error) = $node->psql('postgres', "SET idla.train_memory = '1MB'; SET temp_file_limit = '2MB'; " . sprintf($train, 'limited'));
like($error, qr/temporary file size exceeds temp_file_limit/, 'temp_file_limit is respected');
is($node->safe_psql('postgres', "SELECT to_regclass('limited') IS NULL"), 't', 'and no model is left');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'nor a temporary file');
is($node->safe_psql('postgres', 'SELECT count(*) FROM idla_progress'), '0', 'nor progress');

# In one session: the error is caught, the transaction goes on, and the next training succeeds.
$out = $node->safe_psql('postgres', <<'END');
SET idla.progress = off;
SET idla.train_memory = '1MB';
SET temp_file_limit = '2MB';
BEGIN;
DO $$ BEGIN
	PERFORM idla_train('limited', 'source_wide', 'sick', architecture => 'mlp', options => '{"epochs": 2}');
EXCEPTION WHEN configuration_limit_exceeded THEN
	RAISE NOTICE 'caught';
END $$;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name LIKE 'idla%' AND name <> 'idla models';
SELECT version FROM idla_train('limited', 'source', 'sick', architecture => 'linear', options => '{"epochs": 2}');
COMMIT;
END
is($out, "0\n1", 'caught in a subtransaction, it leaves no memory and the next training works');

# ---- a temporary file that cannot be made ----

my $folder = $node->data_dir . '/base/pgsql_tmp';
mkdir $folder unless -d $folder;
chmod 0500, $folder or die "$folder: $!";
($status, $out, $error) = $node->psql('postgres', "SET idla.train_memory = '1MB'; " . sprintf($train, 'nowhere'));
chmod 0700, $folder or die "$folder: $!";
like($error, qr/could not create temporary file/, 'a temporary file that cannot be made is an error of the statement');
is($node->safe_psql('postgres', "SELECT to_regclass('nowhere') IS NULL"), 't', 'and no model is left');

# ---- a full disk: a server that may write no file beyond 20 MB gets the same kind of error ----

$node->stop;
my $data = $node->data_dir;
my $start = "ulimit -f 20480 && pg_ctl -D '$data' -l '" . $node->logfile . "' -w start >/dev/null";
is(system('bash', '-c', $start), 0, 'a server with little room');
($status, $out, $error) = $node->psql('postgres', "SET idla.progress = off; SET idla.train_memory = '1MB'; "
	. "SELECT idla_train('full', 'SELECT w.* FROM source_wide w, generate_series(1, 4)', 'sick', architecture => 'linear')");
like($error, qr/could not write/, 'a full disk is an error of the statement');
is($node->safe_psql('postgres', "SELECT to_regclass('full') IS NULL"), 't', 'and no model is left');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'nor a temporary file');
$node->safe_psql('postgres', sprintf($train, 'afterwards'));
is($node->safe_psql('postgres', "SELECT to_regclass('afterwards') IS NOT NULL"), 't', 'and the server goes on');
is(system('bash', '-c', "pg_ctl -D '$data' -w stop >/dev/null"), 0, 'stopped');

done_testing();
