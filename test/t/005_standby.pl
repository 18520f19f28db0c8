# Models are served on a standby, follow the primary's deploys, and come through logical replication.
use strict;
use warnings;
use IdlaNode;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = start_node('primary', 'wal_level = logical');

$primary->safe_psql('postgres', 'CREATE EXTENSION idla');
make_patients($primary, 'postgres', 200);
$primary->safe_psql('postgres', <<'END');
SET idla.progress = off;
SELECT idla_train('m', 'SELECT age, sex, sick FROM patients', 'sick', architecture => 'linear', options => '{"epochs": 2, "seed": 1}');
SELECT idla_train('m', 'SELECT age, pressure, sick FROM patients', 'sick', architecture => 'mlp', options => '{"epochs": 2, "seed": 2}');
END
my $answers = "SELECT md5(string_agg(encode(float8send(idla_predict('m', p)), 'hex'), ' ' ORDER BY id)) FROM patients p";
# A plan that is kept passes the columns of the version that it was made for.
my $kept = "PREPARE kept AS $answers;\nEXECUTE kept;\nSELECT pg_sleep(4);\nEXECUTE kept;\nEXECUTE kept;\n";
my $first = $primary->safe_psql('postgres', $answers);

# ---- streaming ----

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $answers), $first, 'a standby predicts the same bits');
is($standby->safe_psql('postgres', 'SELECT model, versions, in_service FROM idla_models'), 'm|2|1', 'and lists the model');

# One session of the standby sees the deploy without being told.
my $session = start_session($standby, 'postgres', 'reader', $kept);
ok(wait_until($standby, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'reader' AND query LIKE '%pg_sleep%')", $session), 'a reader');
$primary->safe_psql('postgres', "SELECT idla_deploy('m', 2)");
my $second = $primary->safe_psql('postgres', $answers);
isnt($second, $first, 'the other version answers otherwise');
$primary->wait_for_catchup($standby);
finish_session($session);
is($session->{out}, "$first\n\n$second\n$second\n", 'a session of the standby follows a deploy');

my ($status, $out, $error) = $standby->psql('postgres', "SELECT idla_deploy('m', 1)");
like($error, qr/cannot execute idla_deploy\(\) during recovery|read-only transaction/, 'no deploying on a standby');
($status, $out, $error) = $standby->psql('postgres', "SELECT idla_train('n', 'source', 'sick')");
like($error, qr/cannot execute idla_train\(\) during recovery|read-only transaction/, 'no training either');
$standby->stop;

# ---- logical replication ----

my $subscriber = start_node('subscriber');
$subscriber->safe_psql('postgres', 'CREATE EXTENSION idla');
make_patients($subscriber, 'postgres', 200);
my $structure = run_and_read('pg_dump', '-s', '-t', 'm', '-d', $primary->connstr('postgres'));
$subscriber->safe_psql('postgres', $structure);
$primary->safe_psql('postgres', 'CREATE PUBLICATION models FOR TABLE m');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION models CONNECTION '" . $primary->connstr . " dbname=postgres' PUBLICATION models");
$subscriber->wait_for_subscription_sync($primary, 'models');
is($subscriber->safe_psql('postgres', $answers), $second, 'a subscriber predicts the same bits');
$session = start_session($subscriber, 'postgres', 'reader', $kept);
ok(wait_until($subscriber, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'reader' AND query LIKE '%pg_sleep%')", $session), 'a reader');
$primary->safe_psql('postgres', "SELECT idla_deploy('m', 1)");
$primary->wait_for_catchup('models');
finish_session($session);
is($session->{out}, "$second\n\n$first\n$first\n", 'a session of the subscriber follows a deploy');

$subscriber->stop;

# ---- transactions that are being prepared ----

# While a standby is waited for, one counts twice: what a session sees then must not pass for what it saw while another ran, which deployed meanwhile.
$primary->append_conf('postgresql.conf', "max_prepared_transactions = 1\nsynchronous_standby_names = 'nobody'\nsynchronous_commit = local\n");
$primary->restart;
my $sleep = "DO 'BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END'";
my $sleeps = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = '%s' AND wait_event = 'PgSleep')";
my $prepares = start_session($primary, 'postgres', 'prepares', "BEGIN;\nSELECT txid_current() > 0;\n$sleep;\nSET synchronous_commit = on;\nPREPARE TRANSACTION 'waits';\n");
ok(wait_until($primary, 'postgres', sprintf($sleeps, 'prepares'), $prepares), 'one transaction begins');
my $deploys = start_session($primary, 'postgres', 'deploys', "BEGIN;\nSELECT idla_deploy('m', 2);\n$sleep;\nCOMMIT;\n");
ok(wait_until($primary, 'postgres', sprintf($sleeps, 'deploys'), $deploys), 'one deploys');
$primary->safe_psql('postgres', 'SELECT txid_current()');
$session = start_session($primary, 'postgres', 'asks', "BEGIN;\n$answers;\n$sleep;\n$answers;\nCOMMIT;\n");
ok(wait_until($primary, 'postgres', sprintf($sleeps, 'asks'), $session), 'one asks');
$primary->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'prepares'");
ok(wait_until($primary, 'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'prepares' AND wait_event = 'SyncRep')", $prepares), 'one is being prepared');
unlock($primary, $deploys);
unlock($primary, $session);
is($session->{out}, "$first\n$second\n", 'a deploy is seen that committed meanwhile');
unlock($primary, $prepares);
$primary->safe_psql('postgres', "ROLLBACK PREPARED 'waits'");
$primary->stop;
done_testing();

sub run_and_read
{
	my $out = '';
	IPC::Run::run([@_], '>', \$out) or die "@_ failed";
	return $out;
}
