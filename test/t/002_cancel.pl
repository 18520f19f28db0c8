# A training ends within 100 ms of Ctrl-C, statement_timeout or pg_terminate_backend, wherever it is, and leaves nothing.
use strict;
use warnings;
use IdlaNode;
use Test::More;

my $node = start_node('main', 'fsync = off', 'temp_file_limit = -1');

$node->safe_psql('postgres', 'CREATE EXTENSION idla');
make_patients($node, 'postgres', 400);
$node->safe_psql('postgres', "CREATE TABLE big AS SELECT p.*, g FROM patients p, generate_series(1, 100) g; CREATE VIEW big_source AS SELECT age, sex, pressure, g, sick FROM big");
$node->safe_psql('postgres', "SET idla.progress = off; SELECT idla_train('old', 'source', 'sick', architecture => 'linear', options => '{\"epochs\": 2, \"seed\": 1}')");
my $answers = "SELECT md5(string_agg(encode(float8send(idla_predict('old', p)), 'hex'), ' ' ORDER BY id)) FROM patients p";
my $expected = $node->safe_psql('postgres', $answers);

# Milliseconds from the signal to the end of what $name was doing, measured inside the server.
$node->safe_psql('postgres', <<'END');
CREATE FUNCTION stop_session(name text, how text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE victim int; start timestamptz;
BEGIN
	SELECT pid INTO STRICT victim FROM pg_stat_activity WHERE application_name = name;
	start := clock_timestamp();
	EXECUTE format('SELECT %I($1)', how) USING victim;
	LOOP
		PERFORM pg_stat_clear_snapshot();
		EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = victim AND state = 'active');
		IF clock_timestamp() > start + interval '30 s' THEN RETURN 'infinity'; END IF;
		PERFORM pg_sleep(0.001);
	END LOOP;
	RETURN extract(epoch FROM clock_timestamp() - start) * 1000;
END $$;
END

# What runs long, and how to see that it has come to the part in question.
my %long = (
	'reading' => [ "SELECT idla_train('new', 'SELECT b.age, b.sex, b.sick FROM big b, generate_series(1, 1000) g', 'sick')", 'reading' ],
	'training a perceptron' => [ "SELECT idla_train('new', 'big_source', 'sick', architecture => 'mlp', options => '{\"epochs\": 100000, \"patience\": 0, \"width\": 256, \"folds\": 1}')", 'training' ],
	'training an ensemble' => [ "SELECT idla_train('new', 'big_source', 'sick', architecture => 'tabm', options => '{\"epochs\": 100000, \"patience\": 0, \"folds\": 1}')", 'training' ],
	'training in few large steps' => [ "SELECT idla_train('new', 'big_source', 'sick', architecture => 'resnet', options => '{\"epochs\": 100000, \"patience\": 0, \"batch\": 65536, \"width\": 512, \"folds\": 1}')", 'training' ],
	'training on one thread' => [ "SET idla.threads = 1; SELECT idla_train('new', 'big_source', 'sick', architecture => 'nam', options => '{\"epochs\": 100000, \"patience\": 0, \"folds\": 1}')", 'training' ],
);

my $n = 0;
for my $what (sort keys %long)
{
	my ($sql, $phase) = @{ $long{$what} };
	my $best = 'inf';

	# The machine may be busy with other tests: one quick end of three shows that nothing waits.
	for my $try (1 .. 3)
	{
		my $name = 'victim' . $n++;
		my $session = start_session($node, 'postgres', $name, "SET idla.progress = off;\n$sql;\n");
		my $there = wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM idla_progress g JOIN pg_stat_activity a USING (pid) WHERE a.application_name = '$name' AND g.phase = '$phase')", $session);
		ok(0, "$what: it never came to $phase: $session->{out} $session->{err}") unless $there;
		my $took = $node->safe_psql('postgres', "SELECT stop_session('$name', 'pg_cancel_backend')");
		finish_session($session);
		like($session->{err}, qr/57014/, "$what: cancelled") if $try == 1;
		$best = $took if $took < $best;
		last if $best < 100;
	}
	cmp_ok($best, '<', 100, "$what ends within 100 ms");
}

# ---- statement_timeout ----

my $timeout = $node->safe_psql('postgres', <<'END');
CREATE FUNCTION train_and_time() RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE start timestamptz := clock_timestamp();
BEGIN
	PERFORM idla_train('new', 'big_source', 'sick', architecture => 'mlp', options => '{"epochs": 100000, "patience": 0, "folds": 1}');
	RETURN -1;
EXCEPTION WHEN query_canceled THEN
	RETURN extract(epoch FROM clock_timestamp() - start) * 1000;
END $$;
SET idla.progress = off;
SET statement_timeout = '1s';
SELECT least(train_and_time(), 99999);
SELECT least(train_and_time(), 99999);
SELECT least(train_and_time(), 99999);
END
my ($took) = sort { $a <=> $b } split /\n/, $timeout;
cmp_ok($took, '>=', 900, 'statement_timeout: not before');
cmp_ok($took, '<', 1100, 'statement_timeout: within 100 ms');

# ---- pg_terminate_backend ----

my $session = start_session($node, 'postgres', 'terminated', "SET idla.progress = off;\n$long{'training an ensemble'}[0];\n");
ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM idla_progress WHERE model = 'new' AND phase = 'training')", $session), 'a training to terminate');
my $ended = $node->safe_psql('postgres', "SELECT stop_session('terminated', 'pg_terminate_backend')");
finish_session($session);
cmp_ok($ended, '<', 1000, 'pg_terminate_backend ends it');
like($session->{err}, qr/57P01|terminating connection/, 'and says so');

# ---- long questions stop too ----

for my $question ("SELECT * FROM idla_evaluate('old', 'SELECT age, sex, pressure, sick FROM patients, generate_series(1, 10000000)')",
	"SELECT * FROM idla_importance('old', 'SELECT age, sex, pressure, sick FROM patients, generate_series(1, 500)', 1000)",
	"SELECT sum(idla_predict('old', p)) FROM patients p, generate_series(1, 10000000)",
	"SELECT count(*) FROM (SELECT age + g AS age, sex, pressure FROM patients, generate_series(1, 1000) g OFFSET 0) p, idla_explain('old', p, 'shapley')")
{
	my ($status, $out, $error) = $node->psql('postgres', "SET statement_timeout = '300ms'; SET idla.train_memory = '1GB';\n\\timing on\n$question");
	like($error, qr/statement timeout/, "$question is cancelled");
}

# ---- nothing is left ----

is($node->safe_psql('postgres', "SELECT to_regclass('new') IS NULL"), 't', 'no model');
is($node->safe_psql('postgres', 'SELECT count(*) FROM idla_progress'), '0', 'no progress');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_ls_tmpdir()"), '0', 'no temporary file');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND relation = 'old'::regclass"), '0', 'no lock');
is($node->safe_psql('postgres', $answers), $expected, 'the model that was there predicts as before');

# A session goes on after its training was cancelled, and keeps nothing of it.
my $after = $node->safe_psql('postgres', <<'END');
SET idla.progress = off;
SET statement_timeout = '300ms';
DO $$ BEGIN PERFORM train_and_time(); END $$;
RESET statement_timeout;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name LIKE 'idla%' AND name <> 'idla models';
SELECT version FROM idla_train('new', 'source', 'sick', architecture => 'linear', options => '{"epochs": 2}');
END
is($after, "0\n1", 'the session keeps no memory of a cancelled training and can train again');

$node->stop;
done_testing();
