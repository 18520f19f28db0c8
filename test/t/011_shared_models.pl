# Weights that all sessions share: read once, held while they are used, given up when whoever reads them fails, and gone with a crash.
use strict;
use warnings;
use IdlaNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

# Room for three of the models below, and for none of five megabytes.
my $node = start_node('main', 'fsync = off', 'restart_after_crash = on', 'max_parallel_workers = 8', 'idla.shared_models = 4MB', 'idla.share_from = 1MB');

$node->safe_psql('postgres', 'CREATE EXTENSION idla');
make_patients($node, 'postgres', 300);
$node->safe_psql('postgres', 'CREATE TABLE big AS SELECT p.*, g FROM patients p, generate_series(1, 300) g; ANALYZE big');
train('m', 512, 1);

my $shared = "SELECT coalesce(string_agg(model || ' ' || version || ' ' || sessions, ', ' ORDER BY model::text, version), 'none') FROM idla_cache WHERE scope = 'shared'";
my $expected = answer('m', "SET idla.share_from = '1TB'");
is_soon($node, 'postgres', $shared, 'none', 'small models are kept by each session');
is(answer('m'), $expected, 'shared weights answer with the same bits');
is_soon($node, 'postgres', $shared, 'm 1 0', 'they stay when the session is gone');
is(answer('m'), $expected, 'and so do they in the next one');
is($node->safe_psql('postgres', "SELECT statements > 1 FROM idla_cache WHERE scope = 'shared'"), 't', 'which has not read them again');

# ---- two sessions, one entry ----

my $gate = close_gate();
my @users = map { start_user("user$_", 'm') } 1, 2;
ok(waits_for_shared('m 1 2'), 'two sessions hold it');
is($node->safe_psql('postgres', "SELECT idla_evict('m')"), '0', 'so that it does not go');

# A deployment, and even a deletion, changes nothing under a query that runs.
train('m', 400, 2);
$node->safe_psql('postgres', "SELECT idla_deploy('m', 2); DELETE FROM m WHERE version = 1");
my $second = answer('m');
isnt($second, $expected, 'the next statement asks the version in service');
my $dropping = start_session($node, 'postgres', 'dropping', "DROP TABLE m;\n");
ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'dropping' AND wait_event_type = 'Lock')", $dropping), 'DROP waits for those who use the model');
open_gate($gate);
finish_session($_) for @users;
is($_->{out}, "true\n\n$expected\n", 'and they go on with what they began with') for @users;
finish_session($dropping);
is($dropping->{err}, '', 'then it is dropped');
is_soon($node, 'postgres', "SELECT count(*), sum(sessions) FROM idla_cache WHERE scope = 'shared'", '1|0', 'weights without rows are held by nobody');
is($node->safe_psql('postgres', 'SELECT idla_evict(), idla_evict()'), '1|0', 'and go when the superuser says so');

# ---- whoever reads them for all fails ----

train('m', 512, 1);
# The manifest is read before it is known who reads the weights, so it must not lie beside them.
$node->safe_psql('postgres', "ALTER TABLE m ALTER manifest SET STORAGE MAIN, ALTER card SET STORAGE MAIN; UPDATE m SET manifest = manifest || '{}', card = card || '{}' WHERE chunk = 0");
my $index = $node->safe_psql('postgres', "SELECT 'pg_toast.' || quote_ident(relname) FROM pg_class WHERE oid = (SELECT indexrelid FROM pg_index WHERE indrelid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'm'::regclass))");
for my $end (qw(cancel terminate))
{
	my ($blocker, $reading, $waiting) = block_reading('m');
	$node->safe_psql('postgres', "SELECT pg_${end}_backend(pid) FROM pg_stat_activity WHERE application_name = 'reading'");
	finish_session($reading);
	like($reading->{err}, $end eq 'cancel' ? qr/canceling statement/ : qr/terminating connection/, "the session that reads ends: $end");
	ok(wait_until($node, 'postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE application_name = 'waiting'", $waiting), 'the one that waited reads now');
	unblock($blocker);
	finish_session($waiting);
	is($waiting->{out}, "$expected\n", 'and answers');
	is_soon($node, 'postgres', $shared, 'm 1 0', 'what it read is there for all');
	$node->safe_psql('postgres', 'SELECT idla_evict()');
}

# Who waits can be cancelled too.
my ($blocker, $reading, $waiting) = block_reading('m');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'waiting'");
finish_session($waiting);
like($waiting->{err}, qr/canceling statement/, 'a session that waits is cancelled');
unblock($blocker);
finish_session($reading);
is($reading->{out}, "$expected\n", 'the other one has its answers');
is_soon($node, 'postgres', $shared, 'm 1 0', 'and left the weights');
$node->safe_psql('postgres', 'SELECT idla_evict()');

# ---- killed hard, while reading and while serving ----

($blocker, $reading, $waiting) = block_reading('m');
crash('reading', $blocker, $reading, $waiting);
is_soon($node, 'postgres', $shared, 'none', 'nothing is half there');
is(answer('m'), $expected, 'and the model answers');

$gate = close_gate();
@users = map { start_user("user$_", 'm') } 1, 2;
ok(waits_for_shared('m 1 2'), 'two sessions serve');
crash('user1', $gate, @users);
is_soon($node, 'postgres', $shared, 'none', 'shared memory is new');
is(answer('m'), $expected, 'the model answers as before');
is_soon($node, 'postgres', $shared, 'm 1 0', 'from shared weights again');

# ---- sessions that end in the middle ----

$gate = close_gate();
@users = map { start_user("user$_", 'm') } 1, 2, 3;
ok(waits_for_shared('m 1 3'), 'three sessions hold it');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'user1'");
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'user2'");
finish_session($users[$_]) for 0, 1;
ok(waits_for_shared('m 1 1'), 'one is terminated, one cancelled, one is left');
open_gate($gate);
finish_session($users[2]);
is($users[2]->{out}, "true\n\n$expected\n", 'which ends well');
is_soon($node, 'postgres', $shared, 'm 1 0', 'and then nobody holds it');

# ---- workers ----

my $parallel = 'SET max_parallel_workers_per_gather = 3; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off';
my $sum = "SELECT count(*), count(DISTINCT idla_predict('m', b)) FROM big b";
my $alone = $node->safe_psql('postgres', $sum);
like($node->safe_psql('postgres', "$parallel; EXPLAIN SELECT min(idla_predict('m', b)) FROM big b"), qr/Parallel/, 'a plan with workers');
is($node->safe_psql('postgres', "$parallel; SELECT min(idla_predict('m', b)) FROM big b"), $node->safe_psql('postgres', "SELECT min(idla_predict('m', b)) FROM big b"), 'workers answer alike');
is_soon($node, 'postgres', $shared, 'm 1 0', 'with the same weights, and let go of them');
# What the leader has not committed its workers may use, and nobody else sees.
like($node->safe_psql('postgres', "$parallel; BEGIN; CREATE TABLE own AS TABLE m; ALTER TABLE own ADD CONSTRAINT idla_model CHECK ((chunk = 0) = (manifest IS NOT NULL));"
		. "SELECT min(idla_predict('own', b)) = min(idla_predict('m', b)) FROM big b; ROLLBACK; SELECT count(*) FROM idla_cache WHERE scope = 'shared'"), qr/^t\n1$/, 'a copy within a transaction');

# ---- room ----

train("n$_", 512, $_ + 10) for 1 .. 3;
answer("n$_") for 1, 2;
is_soon($node, 'postgres', $shared, 'm 1 0, n1 1 0, n2 1 0', 'three models fit');
is($node->safe_psql('postgres', join('; ', map { "SELECT idla_predict('$_', p) > -1 FROM patients p WHERE id = 1" } 'n1', 'n2', 'm', 'n3') . "; SELECT scope FROM idla_cache WHERE model = 'n3'::regclass; $shared"),
	"t\nt\nt\nt\nsession\nm 1 0, n1 1 0, n2 1 0", 'a fourth one does not push out what was just used');
is($node->safe_psql('postgres', "SELECT idla_predict('n3', p) > -1 FROM patients p WHERE id = 1; SELECT idla_prewarm('n3') > 1000000; SELECT string_agg(scope, ' ' ORDER BY scope) FROM idla_cache WHERE model = 'n3'::regclass; $shared"),
	"t\nt\nsession shared\nm 1 0, n2 1 0, n3 1 0", 'unless somebody wants it: then the one that was not used longest makes room');
$gate = close_gate();
@users = map { start_user("user$_", $_) } 'm', 'n2', 'n3';
ok(waits_for_shared('m 1 1, n2 1 1, n3 1 1'), 'all are held');
my ($status, $out, $error) = $node->psql('postgres', "SELECT idla_prewarm('n1') > 1000000; SELECT scope FROM idla_cache WHERE model = 'n1'::regclass");
is($out, "t\nsession", 'a fourth one is kept by the session');
like($error, qr/WARNING:  the model's weights are not shared with other sessions/, 'which is told when it prewarms');
is(answer('n1'), answer('n1', "SET idla.share_from = '1TB'"), 'and answers as ever');
open_gate($gate);
finish_session($_) for @users;
is($node->safe_psql('postgres', "SELECT idla_prewarm('n1') > 1000000"), 't', 'when they are done');
like($node->safe_psql('postgres', $shared), qr/n1 1 0/, 'there is room for it');

train('huge', 1100, 4);
my $before = $node->safe_psql('postgres', $shared);
($status, $out, $error) = $node->psql('postgres', "SELECT idla_prewarm('huge') > 4000000");
is($out, 't', 'a model larger than the area is kept by the session');
like($error, qr/DETAIL:  They take \d+ kB, and there is room for \d+ kB/, 'which says so');
is_soon($node, 'postgres', $shared, $before, 'and nothing goes for it in vain');

# Many models one after another, of all sizes: room that was given back is found again.
train("size$_", 400 + 60 * $_, $_) for 1 .. 4;
$node->safe_psql('postgres', "SELECT count(idla_prewarm(('size' || 1 + (7 * i) % 4)::regclass)) FROM (SELECT i, idla_evict(NULL) FROM generate_series(1, 200) i OFFSET 0) i WHERE i % 3 > 0 OR idla_evict(NULL) >= 0");
is(answer("size$_"), answer("size$_", "SET idla.share_from = '1TB'"), "size $_ answers alike") for 1 .. 4;
is_soon($node, 'postgres', "SELECT coalesce(sum(sessions), 0) FROM idla_cache WHERE scope = 'shared'", '0', 'and nobody holds any');

# Sessions that come and go, load and evict at once.
my @crowd = map {
	my $who = $_;
	start_session($node, 'postgres', "crowd$who", join('', map { "SELECT idla_evict() >= 0; SELECT count(idla_predict('size" . (1 + ($_ * (2 * $who + 1)) % 4) . "', p)) FROM patients p;\n" } 1 .. 40) . "SELECT 'done';\n")
} 1 .. 4;
finish_together(@crowd);
is($_->{err} . ($_->{out} =~ s/^(t|300)\n//gmr), "done\n", 'a session among others that load and evict') for @crowd;
is_soon($node, 'postgres', "SELECT coalesce(sum(sessions), 0) FROM idla_cache WHERE scope = 'shared'", '0', 'leaves nothing held');

# ---- rights ----

$node->safe_psql('postgres', "CREATE ROLE stranger; CREATE ROLE auditor; GRANT pg_read_all_stats TO auditor; CREATE DATABASE other; SELECT idla_evict() >= 0");
$node->safe_psql('other', 'CREATE EXTENSION idla');
answer('m');
is($node->safe_psql('postgres', "SET ROLE stranger; SELECT count(*) FROM idla_cache; SELECT idla_evict()"), "0\n0", 'strangers see nothing and let nothing go');
is($node->safe_psql('other', "SET ROLE auditor; SELECT model IS NULL, bytes > 1000000, sessions FROM idla_cache"), 't|t|0', 'who may read all statistics sees in any database that there is something');
# The manifest, which somebody may read, does not give him the weights.
$node->safe_psql('postgres', "GRANT SELECT (version, chunk, in_service, card, manifest) ON m TO stranger; CREATE SCHEMA strange AUTHORIZATION stranger");
($status, $out, $error) = $node->psql('postgres', <<'END');
SET ROLE stranger;
CREATE TABLE strange.m (version int, chunk int, in_service boolean, card jsonb, manifest jsonb, weights bytea, PRIMARY KEY (version, chunk), CONSTRAINT idla_model CHECK ((chunk = 0) = (manifest IS NOT NULL)));
INSERT INTO strange.m SELECT version, chunk, in_service, card, manifest, repeat('x', 2000000)::bytea FROM public.m WHERE chunk = 0;
SELECT idla_predict('strange.m', row(1::numeric, 'f', 1::numeric));
END
like($error, qr/the model's manifest or weights are damaged/, 'nobody gets weights by their manifest');

# ---- a standby ----

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $answers = answers('m');
is($standby->safe_psql('postgres', $answers), $expected, 'a standby answers') for 1, 2;
is_soon($standby, 'postgres', $shared, 'm 1 0', 'with shared weights of its own');
train('m', 400, 2);
$node->safe_psql('postgres', "SELECT idla_deploy('m', 2)");
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $answers), $second, 'and follows a deployment');
is_soon($standby, 'postgres', $shared, 'm 1 0', 'small ones are not shared there either');
$standby->promote;
is($standby->safe_psql('postgres', "SELECT idla_deploy('m', 1); $answers"), "2\n$expected", 'and goes on after a promotion');
$standby->stop;

# ---- without ----

$node->append_conf('postgresql.conf', 'idla.shared_models = 0');
$node->restart;
$node->safe_psql('postgres', "SELECT idla_deploy('m', 1)");
is(answer('m'), $expected, 'without an area each session keeps its own');
is($node->safe_psql('postgres', "SELECT idla_prewarm('m') > 1000000; SELECT string_agg(scope, ' ') FROM idla_cache; SELECT idla_evict()"), "t\nsession\n1", 'as its list says');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is(answer('m'), $expected, 'and so it is when the library is not preloaded');

$node->stop;
done_testing();

# ---- helpers ----

# A version of so many million weights; the seed tells models apart.
sub train
{
	my ($model, $width, $seed) = @_;

	$node->safe_psql('postgres', "SET idla.progress = off; SELECT idla_train('$model', 'source', 'sick', architecture => 'dense($width) relu dense($width) relu', options => '{\"epochs\": 1, \"folds\": 1, \"seed\": $seed}')");
	return;
}

sub answers
{
	my ($model) = @_;
	return "SELECT md5(string_agg(encode(float8send(idla_predict('$model', p)), 'hex'), ' ' ORDER BY id)) FROM patients p";
}

sub answer
{
	my ($model, $setting) = @_;
	return $node->safe_psql('postgres', ($setting ? "$setting; " : '') . answers($model));
}

# Sessions that want the gate wait until it is opened.
sub close_gate
{
	my $session = start_session($node, 'postgres', 'gate', "SELECT pg_advisory_lock(1);\nSELECT pg_sleep(600);\n");

	ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted)", $session), 'a gate');
	return $session;
}

sub open_gate
{
	my ($session) = @_;

	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gate'");
	finish_session($session);
	return;
}

# A session that is asked for some answers, waits at the gate, and gives the others: what answers() does, with a cursor.
sub start_user
{
	my ($name, $model) = @_;

	my $session = start_session($node, 'postgres', $name, <<"END");
BEGIN;
DECLARE c CURSOR FOR SELECT id, encode(float8send(idla_predict('$model', p)), 'hex') AS bits FROM patients p ORDER BY id;
DO \$\$
DECLARE
	r record;
	c refcursor := 'c';
	all_bits text[];
BEGIN
	FETCH c INTO r;
	all_bits := ARRAY[r.bits];
	PERFORM set_config('test.bits', r.bits, false);
END \$\$;
SELECT 'true';
SELECT pg_advisory_lock_shared(1);
DO \$\$
DECLARE
	r record;
	c refcursor := 'c';
	bits text := current_setting('test.bits');
BEGIN
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		bits := bits || ' ' || r.bits;
	END LOOP;
	PERFORM set_config('test.bits', bits, false);
END \$\$;
SELECT md5(current_setting('test.bits'));
COMMIT;
END
	ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = '$name' AND wait_event = 'advisory')", $session), "$name uses $model");
	return $session;
}

# Runs sessions beside each other until they say that they are done.
sub finish_together
{
	my (@sessions) = @_;

	my $start = time;

	while (time - $start < 120 && grep { $_->{out} !~ /^done$/m } @sessions)
	{
		$_->{run}->pumpable && $_->{run}->pump_nb for @sessions;
		sleep 0.01;
	}
	finish_session($_) for @sessions;
	return;
}

sub waits_for_shared
{
	my ($what) = @_;
	return $node->poll_query_until('postgres', "SELECT ($shared) = '$what'");
}

# Two sessions that want the model's weights: one reads them for both, and cannot go on before unblock().
sub block_reading
{
	my ($model) = @_;
	my $blocker = start_session($node, 'postgres', 'blocker', "BEGIN;\nREINDEX INDEX $index;\nSELECT pg_sleep(600);\n");

	ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'blocker' AND wait_event = 'PgSleep')", $blocker), 'weights that cannot be read');
	my $reading = start_session($node, 'postgres', 'reading', answers($model) . ";\n");
	ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'reading' AND wait_event_type = 'Lock')", $reading), 'one session tries');
	my $waiting = start_session($node, 'postgres', 'waiting', answers($model) . ";\n");
	ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'waiting' AND wait_event_type = 'Extension')", $waiting), 'and another one waits for it');
	return ($blocker, $reading, $waiting);
}

sub unblock
{
	my ($session) = @_;

	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'blocker'");
	finish_session($session);
	return;
}

# Kills one session hard, and the server comes back without the others.
sub crash
{
	my ($name, @sessions) = @_;

	kill 'KILL', $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = '$name'");
	finish_session($_) for @sessions;
	ok($node->poll_query_until('postgres', 'SELECT true'), "the server recovers from the loss of $name");
	return;
}
