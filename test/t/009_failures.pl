# Memory that runs out, a cancel and an error at every place of a query: an error that says so, nothing left behind, and the session goes on.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IdlaNode;
use Test::More;

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
my $folder = tempdir(CLEANUP => 1);
chmod 0755, $folder;
chomp(my $headers = `$pg_config --includedir-server`);
my $library = "$folder/failing_malloc.so";
system('cc', '-shared', '-fPIC', '-fno-builtin', '-O1', "-I$headers", '-o', $library, dirname(abs_path(__FILE__)) . '/failing_malloc.c') == 0
	or die "009_failures: failing_malloc.c does not compile\n";

$ENV{LD_PRELOAD} = $library;
my $node = start_node('main', 'fsync = off', 'restart_after_crash = off', 'jit = off', 'max_parallel_workers_per_gather = 0', 'autovacuum = off');
delete $ENV{LD_PRELOAD};

$node->safe_psql('postgres', <<"END");
CREATE EXTENSION idla;
CREATE FUNCTION fail_malloc(bigint) RETURNS bigint LANGUAGE c STRICT AS '$library';
END
make_patients($node, 'postgres', 700);
$node->safe_psql('postgres', <<'END');
SET idla.progress = off;
SELECT idla_train('m', 'source', 'sick', architecture => 'mlp', options => '{"epochs": 2, "seed": 1, "width": 16}');
CREATE VIEW scores AS SELECT id, idla_predict('m', p) AS risk, idla_classify('m', p) AS class, idla_label_set('m', p) AS classes, idla_embed('m', p) AS embedding
	FROM patients p;
CREATE TABLE files AS SELECT idla_export('m') AS image;
-- An error or a cancel at one row: functions of the row that the planner takes for well-behaved ones.
CREATE FUNCTION breaks(id int, at int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN IF id = at THEN RAISE 'row %', at USING ERRCODE = 'division_by_zero'; END IF; RETURN 0; END $$;
CREATE FUNCTION cancels(id int, at int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN IF id = at THEN PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(10); END IF; RETURN 0; END $$;
END

# Every statement is run with the n-th allocation failing, for every n up to 400 times $step, or until none fails: an answer is the right one, an
# error "out of memory". Every fourth of these places will do where time is short; test/long has them all.
my $stride = $ENV{IDLA_ALL_PLACES} ? 1 : 4;

sub run_out
{
	my ($what, $statement, $step, $before) = @_;
	my $expected = $node->safe_psql('postgres', "$before$statement");
	# Terse: details and contexts may have several lines.
	my $script = "\\set VERBOSITY terse\n";

	for (my $n = 0; $n < 400 * $step; $n += $stride * $step)
	{
		$script .= "${before}SELECT 'failed', fail_malloc($n) * 0;\n$statement;\nSELECT 'failed', fail_malloc(-1);\n";
	}
	my ($status, $out, $err) = $node->psql('postgres', "$script SELECT 'alive'", on_error_stop => 0);
	my @lines = split /\n/, $out;
	my $failures = grep { $_ eq 'failed|1' } @lines;
	my @answers = grep { !/^failed\||^alive$/ } @lines;
	my @wrong = grep { $_ ne $expected } @answers;
	my @errors = grep { !/NOTICE:/ } split /\n/, $err;
	# The library that digests says of its own memory only that it failed.
	my @others = grep { !/out of memory|could not compute a SHA-256 digest/ } @errors;

	is($lines[-1], 'alive', "$what: the session lives");
	is(scalar(@wrong), 0, 'no answer is wrong') or diag("expected $expected\n", join("\n", @wrong[0 .. ($#wrong < 4 ? $#wrong : 4)]));
	is(scalar(@others), 0, 'every error is that there is no memory') or diag($err);
	cmp_ok($failures, '>', 2, 'memory ran out at ' . $failures . ' places, with ' . @errors . ' errors');
	is($node->safe_psql('postgres', "$before$statement"), $expected, 'and afterwards all is as before');
	return;
}

my $cold = "SET client_min_messages = error; DO \$\$ BEGIN PERFORM idla_evict(); END \$\$;\n";
my $hash = "SELECT sum(hashtextextended(encode(float8send(risk), 'hex') || class || classes::text || embedding::text, id)) FROM scores";
my $anew = 'SET idla.progress = off; SET client_min_messages = error; DROP TABLE IF EXISTS n; ';
run_out('batches of a model that is loaded for them', $hash, 1, $cold);
run_out('batches of a model in memory', $hash, 1, '');
run_out('row by row', $hash, 1, "SET idla.batch_predict = off; $cold");
run_out('weights that are read for all sessions', $hash, 1, "SET idla.share_from = '1kB'; $cold");
run_out('weights that are there for all', $hash, 1, "SET idla.share_from = '1kB'; SET idla.model_cache = 0; SET client_min_messages = error;\n");
is_soon($node, 'postgres', "SELECT count(*), sum(sessions) FROM idla_cache WHERE scope = 'shared'", '1|0', 'which nobody holds any more');
$node->safe_psql('postgres', "SELECT idla_log('m', 0.5, 'id')");
run_out('batches of a logged model', $hash, 1, '');
run_out('a logged model row by row', $hash, 1, "SET idla.batch_predict = off; $cold");
is($node->safe_psql('postgres', "SELECT idla_log_flush(); SELECT count(*) > 1000, count(DISTINCT key) BETWEEN 200 AND 500 FROM idla_predictions; SELECT idla_log('m', 0)"), "\nt|t\n0.5", 'the log has what was answered');
run_out('explaining', "SELECT count(*) FROM patients p, idla_explain('m', p) WHERE id = 3", 1, $cold);
run_out('the model as a file', 'SELECT length(idla_export(\'m\')) > 1000', 1, '');
run_out('a file as a model', "SELECT idla_import('n', image) FROM files", 1, $anew);
run_out('smaller weights', "SELECT idla_deploy('n', 1, weights => 'int8', source => 'source')", 12, "${anew}DO \$\$ BEGIN PERFORM idla_copy('m', 'n'); END \$\$;\n");
run_out('training', "SELECT version FROM idla_train('n', 'source', 'sick', architecture => 'mlp', options => '{\"epochs\": 1, \"seed\": 1, \"width\": 8, \"folds\": 1}')", 3, $anew);

# ---- an error and a cancel at each row about which batches begin and end ----

my @places = (1 .. 9, 15 .. 18, 31 .. 34, 63 .. 66, 127 .. 130, 255 .. 258, 511 .. 514, 699, 700);
my $memory = "SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name LIKE 'idla%'";
for my $how ([ 'breaks', 'row \d+' ], [ 'cancels', 'canceling statement due to user request' ])
{
	my ($function, $message) = @$how;
	my $query = sub { "SELECT sum(idla_predict('m', q)) FROM (SELECT age + $function(id, $_[0]) AS age, sex, pressure FROM patients) q" };
	my $whole = $node->safe_psql('postgres', $query->(-1));
	my $script = "$memory;\n" . join('', map { $query->($_) . ";\n" } @places) . $query->(-1) . ";\n$memory;\n";
	my ($status, $out, $err) = $node->psql('postgres', $query->(-1) . ";\n$script", on_error_stop => 0);
	my @lines = split /\n/, $out;
	my @errors = grep { /ERROR/ } split /\n/, $err;

	is(scalar(grep { /ERROR:  $message$/ } @errors), scalar(@places), "$function: every one of " . @places . ' places is an error');
	is(scalar(@errors), scalar(@places), 'and there are no others');
	is_deeply(\@lines, [ $whole, $lines[1], $whole, $lines[1] ], 'no row before it is answered otherwise, and no memory is kept') or diag($out, $err);
}
$node->stop;

done_testing();
