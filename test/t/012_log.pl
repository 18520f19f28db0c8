# The log of predictions beside what may happen to it: no room, a worker that ends or is killed, dropped extensions and databases, a standby, dumps.
use strict;
use warnings;
use IdlaNode;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('main', 'restart_after_crash = on', 'idla.log_memory = 64kB', 'max_parallel_workers = 8');
my $worker = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'idla log' AND datname = current_database()";

sub make_model
{
	my ($database) = @_;
	$node->safe_psql($database, 'CREATE EXTENSION idla');
	make_patients($node, $database, 400);
	$node->safe_psql($database, <<'END');
SET idla.progress = off;
SELECT idla_train('m', 'source', 'sick', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT idla_log('m', key => 'id');
END
	return;
}

sub predict
{
	my ($database, $n) = @_;
	return $node->safe_psql($database, "SELECT count(idla_predict('m', p)) FROM patients p WHERE id <= $n");
}

sub flushed
{
	my ($database) = @_;
	return $node->safe_psql($database, 'SELECT idla_log_flush(); SELECT count(*) FROM idla_predictions');
}

make_model('postgres');

# ---- a worker comes when it is needed, and goes ----

predict('postgres', 10);
is(flushed('postgres'), "\n10", 'what was answered is logged');
is($node->safe_psql('postgres', 'SELECT logged, lost FROM idla_stat_models'), '10|0', 'and counted');
ok(wait_until($node, 'postgres', "SELECT NOT EXISTS ($worker)"), 'the worker ends when nothing comes any more');
predict('postgres', 10);
is(flushed('postgres'), "\n20", 'and another one comes');
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET default_transaction_read_only = on');
ok(wait_until($node, 'postgres', "SELECT NOT EXISTS ($worker)"), 'a worker ends');
predict('postgres', 10);
is(flushed('postgres'), "\n30", 'a database whose sessions are to read alone is logged too');
$node->safe_psql('postgres', 'SET default_transaction_read_only = off; ALTER DATABASE postgres RESET default_transaction_read_only');

# ---- no room ----

# While somebody has the table for himself, the worker waits, and so does what it took.
my $locker = start_locker($node, 'postgres', 'idla_prediction_log');
$node->safe_psql('postgres', 'SELECT idla_stat_reset()');
is($node->safe_psql('postgres', "SELECT count(idla_predict('m', p)) FROM patients p, generate_series(1, 25) g"), '10000', 'nobody waits for the worker');
my ($logged, $lost) = split /\|/, $node->safe_psql('postgres', 'SELECT logged, lost FROM idla_stat_models');
is($logged + $lost, 10000, 'every answer was logged or lost');
cmp_ok($lost, '>', 5000, "$lost found no room");
cmp_ok($logged, '>', 300, "$logged did");
unlock($node, $locker);
is(flushed('postgres'), "\n" . (30 + $logged), 'and all of these are written');
predict('postgres', 10);
is(flushed('postgres'), "\n" . (40 + $logged), 'there is room again');
my $total = 40 + $logged;

# ---- a worker that is ended keeps nothing for itself ----

predict('postgres', 10);
ok(wait_until($node, 'postgres', "SELECT EXISTS ($worker)"), 'there is a worker');
predict('postgres', 100);
$node->restart;
$total += 110;
is($node->safe_psql('postgres', 'SELECT count(*) FROM idla_predictions'), $total, 'a server that is shut down has written its log');

$locker = start_locker($node, 'postgres', 'idla_prediction_log');
predict('postgres', 100);
ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'idla_prediction_log'::regclass)", $locker), 'the worker waits');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM ($worker) w");
unlock($node, $locker);
$total += 100;
is(flushed('postgres'), "\n$total", 'a worker that is told to end ends what it has begun');

# A lock that is held too long is an error of the worker, which is told, and tried again.
$locker = start_locker($node, 'postgres', 'idla_prediction_log');
predict('postgres', 100);
my ($status, $out, $error) = $node->psql('postgres', 'SELECT idla_log_flush()');
like($error, qr/the log of predictions could not be written/, 'who waits for the log hears of it');
unlock($node, $locker);
$total += 100;
is(flushed('postgres'), "\n$total", 'and nothing is lost');

# ---- failures ----

$node->safe_psql('postgres', 'ALTER TABLE idla_prediction_log ADD CONSTRAINT narrow CHECK (version <> 1) NOT VALID');
predict('postgres', 10);
my %errors;
for (1 .. 33)
{
	($status, $out, $error) = $node->psql('postgres', 'SELECT idla_log_flush()');
	$errors{ $error =~ /ERROR:  (.*)/ ? $1 : 'none' }++;
}
is_deeply(\%errors, { 'the log of predictions could not be written' => 33 }, 'failures do not fill the places for workers, and who has them tried again loses nothing');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/violates check constraint "narrow"/, 'the log says what is wrong');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/would overlap partition/, 'and nothing else');
$node->safe_psql('postgres', 'ALTER TABLE idla_prediction_log DROP CONSTRAINT narrow');
$total += 10;
is(flushed('postgres'), "\n$total", 'all is written in the end');

# ---- killed ----

predict('postgres', 10);
ok(wait_until($node, 'postgres', "SELECT EXISTS ($worker)"), 'there is a worker');
my $pid = $node->safe_psql('postgres', $worker);
kill 'KILL', $pid;
ok(wait_until_back(), 'a worker that is killed takes the server with it, which comes back');
$node->safe_psql('postgres', 'DELETE FROM idla_prediction_log');
predict('postgres', 10);
is(flushed('postgres'), "\n10", 'and logs');

# ---- workers of parallel plans ----

$node->safe_psql('postgres', 'DELETE FROM idla_prediction_log');
$node->safe_psql('postgres', <<'END');
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off;
SELECT count(idla_predict('m', p)) FROM patients p;
END
is($node->safe_psql('postgres', 'SELECT idla_log_flush(); SELECT count(*), count(DISTINCT key), bool_and(login = current_user AND role = current_user) FROM idla_predictions'), "\n400|400|t",
	'answers given in workers are logged once, as those of who asked');

# ---- a database that no worker can connect to ----

$node->safe_psql('postgres', 'CREATE DATABASE closed');
make_model('closed');
my $ask = "SELECT count(idla_predict('m', p)) FROM patients p;";
my $insider = start_session($node, 'closed', 'insider',
	"DO 'BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END'; $ask SELECT pg_sleep(2.5); $ask SELECT pg_sleep(4.5); $ask SELECT pg_sleep(8.5); $ask\n");
ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'insider' AND wait_event = 'PgSleep')", $insider), 'a session that is there already');
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS false');
unlock($node, $insider);
is($insider->{out} =~ s/\n//gr, '400' x 4, 'is answered');
my $given_up = 0;
for (1 .. 300)
{
	$given_up = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /the log of predictions of the database with OID \d+ is given up\n.*DETAIL:  Its worker has failed 3 times in a row; \d+ answers are lost/;
	last if $given_up;
	select undef, undef, undef, 0.1;
}
ok($given_up, 'and what it was told is given up when no worker can connect');
is($node->psql('postgres', 'DROP DATABASE closed'), 0, 'the database can be dropped');

# ---- dropped ----

$node->safe_psql('postgres', 'CREATE DATABASE other');
make_model('other');
predict('other', 50);
is(flushed('other'), "\n50", 'another database has a log of its own');
predict('other', 50);
ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'idla log' AND datname = 'other')"), 'and a worker');
is($node->psql('postgres', 'DROP DATABASE other'), 0, 'which lets DROP DATABASE pass');

$locker = start_locker($node, 'postgres', 'idla_prediction_log', 'DROP EXTENSION idla;');
predict('postgres', 100);
unlock($node, $locker);
is($locker->{err}, '', 'DROP EXTENSION passes beside the worker');
ok(wait_until($node, 'postgres', "SELECT NOT EXISTS ($worker)"), 'which ends');
$node->safe_psql('postgres', 'CREATE EXTENSION idla');
predict('postgres', 10);
# What waited for the table that is gone may be written into the new one, if no worker came in between.
like(flushed('postgres'), qr/^\n1?10$/, 'a new extension has a new log');

# ---- hostile operators in the schema of the extension ----

$node->safe_psql('postgres', 'CREATE DATABASE hostile');
$node->safe_psql('hostile', <<'END');
CREATE TABLE victims (name text);
CREATE FUNCTION evil(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.victims VALUES (current_user); RETURN true; END $$;
CREATE FUNCTION evil(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.victims VALUES (current_user); RETURN true; END $$;
CREATE FUNCTION evil(regclass, regclass) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.victims VALUES (current_user); RETURN true; END $$;
CREATE FUNCTION evil(oid, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.victims VALUES (current_user); RETURN true; END $$;
CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil);
CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = evil);
CREATE OPERATOR = (LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = evil);
CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = int, FUNCTION = evil);
CREATE OPERATOR <> (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil);
CREATE OPERATOR <> (LEFTARG = oid, RIGHTARG = int, FUNCTION = evil);
CREATE EXTENSION idla;
END
is($node->safe_psql('hostile', 'SELECT count(*) FROM victims'), '0', 'are not called when it is created');
is($node->safe_psql('hostile', <<'END'), '', 'and no view uses them');
SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
WHERE refclassid = 'pg_operator'::regclass AND refobjid IN (SELECT oid FROM pg_operator WHERE oprnamespace = 'public'::regnamespace) AND deptype = 'n';
END

# ---- dumped ----

$node->safe_psql('postgres', 'DELETE FROM idla_prediction_log');
predict('postgres', 10);
my $before = $node->safe_psql('postgres', 'SELECT idla_log_flush(); SELECT md5(string_agg(p::text, chr(10) ORDER BY time)) FROM idla_predictions p');
my $dump = $node->backup_dir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'a database with a log is dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'and restored');
is($node->safe_psql('restored', 'SELECT idla_log_flush(); SELECT md5(string_agg(p::text, chr(10) ORDER BY time)) FROM idla_predictions p'), $before, 'the log is the same');
predict('restored', 10);
is(flushed('restored'), "\n20", 'and goes on, as the model says');
my $days = "SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY 1) FROM pg_inherits WHERE inhparent = 'idla_prediction_log'::regclass";
is($node->safe_psql('restored', $days), $node->safe_psql('postgres', $days), 'in the partitions that it had');
is($node->safe_psql('restored', 'DROP EXTENSION idla; SELECT count(*) FROM pg_class WHERE relname LIKE $$idla_prediction_log%$$'), '0', 'DROP EXTENSION takes the log with it');

# ---- a standby ----

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT count(idla_predict('m', p)) FROM patients p"), '400', 'a standby predicts with a logged model');
is($standby->safe_psql('postgres', 'SELECT logged, lost FROM idla_stat_models'), '0|400', 'has nowhere to log it, and says so');
is($standby->safe_psql('postgres', 'SELECT idla_log_flush(); SELECT count(*) FROM idla_predictions'), "\n10", 'and shows the log of the primary');
$standby->promote;
is($standby->safe_psql('postgres', "SELECT count(idla_predict('m', p)) FROM patients p; SELECT idla_log_flush(); SELECT count(*) FROM idla_predictions"), "400\n\n410", 'until it is one');
$standby->stop;

# ---- servers that cannot ----

$node->stop;
$node->append_conf('postgresql.conf', "max_worker_processes = 0\n");
$node->start;
predict('postgres', 10);
($status, $out, $error) = $node->psql('postgres', 'SELECT idla_log_flush()');
like($error, qr/no background worker is free.*HINT: .*max_worker_processes/s, 'no worker is free');
$node->stop;
# One place for workers, and a database that had none when it asked: any other that logs has its worker started as well.
$node->append_conf('postgresql.conf', "max_worker_processes = 1\nmax_logical_replication_workers = 0\n");
$node->start;
$locker = start_locker($node, 'postgres', 'idla_prediction_log');
predict('postgres', 10);
ok(wait_until($node, 'postgres', "SELECT EXISTS ($worker)", $locker), 'the only place is taken');
$node->safe_psql('restored', 'CREATE EXTENSION idla');
$node->safe_psql('restored', "SELECT idla_log('m', key => 'id')");
predict('restored', 10);
unlock($node, $locker);
my $written = 0;
for (1 .. 10)
{
	ok(wait_until($node, 'postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'idla log')"), 'the place is free');
	predict('postgres', 1);
	select undef, undef, undef, 1;
	$written = $node->safe_psql('restored', 'SELECT count(*) FROM idla_predictions');
	last if $written;
}
is($written, 10, 'a database whose worker found no place is not forgotten');
$node->stop;
for my $settings ("idla.log_memory = 0\n", "shared_preload_libraries = ''\n")
{
	$node->append_conf('postgresql.conf', $settings);
	$node->start;
	($status, $out, $error) = $node->psql('postgres', "SELECT count(idla_predict('m', p)) FROM patients p; SELECT count(idla_predict('m', p)) FROM patients p; SELECT idla_log_flush()");
	is($out, "400\n400\n", 'without memory for it answers come all the same');
	is(scalar(() = $error =~ /WARNING: .*answers of model "m" are not logged/g), 1, 'with one warning');
	($status, $out, $error) = $node->psql('postgres', "SELECT idla_log('m', 0.5)");
	like($error, qr/this server has no memory for a log.*HINT: .*shared_preload_libraries.*idla\.log_memory/s, 'and nobody can ask for more');
	$node->stop;
}
$node->start;
$node->safe_psql('postgres', "SELECT idla_log('m', 0)");
($status, $out, $error) = $node->psql('postgres', "SELECT count(idla_predict('m', p)) FROM patients p");
is($error, '', 'switching it off needs none, and ends the warnings');
$node->stop;
done_testing();

# The server has come back with another worker of its own, or none.
sub wait_until_back
{
	my $start = time;
	while (time - $start < 60)
	{
		my $now = '';
		$node->psql('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)", stdout => \$now);
		return 1 if $now eq 't';
		select undef, undef, undef, 0.1;
	}
	return 0;
}
