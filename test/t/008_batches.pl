# Batches of predictions that are cancelled, killed or overtaken by a deploy: nothing is left, and nothing changes under a query that runs.
use strict;
use warnings;
use IdlaNode;
use Test::More;

my $node = start_node('main', 'fsync = off', 'restart_after_crash = on', 'max_parallel_workers = 8');
my $parallel = 'SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;';

$node->safe_psql('postgres', 'CREATE EXTENSION idla');
make_patients($node, 'postgres', 400);
$node->safe_psql('postgres', 'CREATE TABLE big AS SELECT p.*, g FROM patients p, generate_series(1, 1000) g; ANALYZE big');
$node->safe_psql('postgres', "SET idla.progress = off; SELECT idla_train('m', 'source', 'sick', architecture => 'mlp', options => '{\"epochs\": 2, \"seed\": 1, \"width\": 256}')");
my $answers = "SELECT md5(string_agg(encode(float8send(idla_predict('m', p)), 'hex'), ' ' ORDER BY id)) FROM patients p";
my $expected = $node->safe_psql('postgres', $answers);

# ---- cancelled again and again, in one session ----

$node->safe_psql('postgres', <<'END');
CREATE FUNCTION resident_kb() RETURNS bigint LANGUAGE sql
AS $$ SELECT (regexp_match(pg_read_file('/proc/self/status'), 'RssAnon:\s+(\d+)'))[1]::bigint $$;
-- Runs the query until it is cancelled after some time, so many times; how often that happened.
CREATE FUNCTION run_cancelled(query text, times int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE cancelled int := 0;
BEGIN
	FOR i IN 1 .. times LOOP
		BEGIN
			EXECUTE query;
		EXCEPTION WHEN division_by_zero THEN
			cancelled := cancelled + 1;
		END;
	END LOOP;
	RETURN cancelled;
END $$;
END
# An error in the middle of a batch query, in a subtransaction: after some thousand rows a column divides by zero.
my $failing = "SELECT sum(idla_predict(''m'', b)) FROM (SELECT age + 0 / (g - 20) AS age, sex, pressure FROM big) b";
my @lines = split /\n/, $node->safe_psql('postgres', <<"END");
SELECT run_cancelled('$failing', 10);
SELECT resident_kb();
SELECT run_cancelled('$failing', 100);
SELECT resident_kb();
SELECT count(*) FROM idla_cache WHERE in_use;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name LIKE 'idla batch%';
$answers;
END
is($lines[0] . ' ' . $lines[2], '10 100', 'every one of these queries failed on its way');
cmp_ok($lines[3], '<', 1.05 * $lines[1], "the session's memory stays: $lines[1] kB, $lines[3] kB");
is("$lines[4] $lines[5]", '0 0', 'no model is in use any more, and no batch is left');
is($lines[6], $expected, 'and the model answers as before');

for my $settings ('', $parallel)
{
	my $where = $settings eq '' ? 'alone' : 'with workers';
	my $out = '';
	my $error = '';
	$node->psql('postgres', "SET statement_timeout = '60ms';" . $settings . join('', map { "SELECT sum(idla_predict('m', a) + idla_predict('m', b)) FROM big a, big b WHERE a.id = b.id;" } 1 .. 5)
			. "RESET statement_timeout; SELECT 'in use', count(*) FROM idla_cache WHERE in_use; $answers;",
		stdout => \$out, stderr => \$error, on_error_stop => 0);
	my $timeouts = () = $error =~ /canceling statement due to statement timeout/g;
	is($timeouts, 5, "five queries end by their time limit, $where");
	like($out, qr/^in use\|0\n\Q$expected\E$/, "and leave nothing, $where");
}

# ---- a worker that is killed ----

my $session = start_session($node, 'postgres', 'victim', "$parallel SELECT sum(idla_predict('m', a) + idla_predict('m', b)) FROM big a, big b WHERE a.id = b.id;\n");
ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'parallel worker')", $session), 'workers predict');
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'parallel worker' LIMIT 1");
kill 'KILL', $pid;
finish_session($session);
like($session->{err}, qr/server closed the connection|connection to server was lost|terminating connection/, 'one of them is killed, and the server with it');
ok($node->poll_query_until('postgres', 'SELECT true'), 'it comes back');
is($node->safe_psql('postgres', $answers), $expected, 'and answers as before');

# ---- a deploy beside a query that runs ----

$node->safe_psql('postgres', "SET idla.progress = off; SELECT idla_train('m', 'source', 'sick', architecture => 'linear', options => '{\"epochs\": 2, \"seed\": 1}')");
my $overtaken = $node->safe_psql('postgres', <<'END');
CREATE EXTENSION dblink;
CREATE TABLE seen AS SELECT id, idla_predict('m', p) AS risk FROM patients p;
BEGIN;
DECLARE c CURSOR FOR SELECT p.id, idla_predict('m', p) = s.risk AS same FROM patients p JOIN seen s USING (id) ORDER BY p.id;
MOVE 1 FROM c;
SELECT * FROM dblink('dbname=postgres port=' || current_setting('port') || ' host=' || split_part(current_setting('unix_socket_directories'), ',', 1),
	'SELECT idla_deploy(''m'', 2)') AS t(was int);
FETCH ABSOLUTE 400 FROM c;
COMMIT;
SELECT count(*) FROM seen s JOIN patients p USING (id) WHERE idla_predict('m', p) = s.risk;
END
is($overtaken, "1\n400|t\n0", 'a query goes on with the version that it began with, the next one asks the new');

$node->stop;
done_testing();
