# idla_progress: a training seen from other sessions, by those who may see it; and a server that did not preload idla.
use strict;
use warnings;
use IdlaNode;
use Test::More;

my $node = start_node('main', 'fsync = off');

$node->safe_psql('postgres', 'CREATE EXTENSION idla; CREATE ROLE stranger LOGIN; CREATE ROLE watcher LOGIN; GRANT pg_read_all_stats TO watcher');
make_patients($node, 'postgres', 5000);

my $training = "SELECT idla_train('long', 'source', 'sick', architecture => 'mlp', options => '{\"epochs\": 100000, \"patience\": 0, \"folds\": 1}')";
my $session = start_session($node, 'postgres', 'trainer', "$training;\n");

ok(wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM idla_progress WHERE phase = 'training' AND epoch >= 2)", $session),
	'another session sees how far the training is');
is( $node->safe_psql('postgres', <<'END'),
SELECT model, role = current_user, database = 'postgres', net, nets >= 1, epoch BETWEEN 2 AND epochs, epochs = 100000, rows > 0,
	loss > 0, validation > 0, best <= validation, seconds_left > 0, started BETWEEN now() - interval '2 minutes' AND now()
FROM idla_progress
END
	'long|t|t|1|t|t|t|t|t|t|t|t|t', 'with losses, the time left and the rest');
is($node->safe_psql('postgres', "SELECT pid = (SELECT pid FROM pg_stat_activity WHERE application_name = 'trainer') FROM idla_progress"), 't', 'the process is the one of pg_stat_activity');
like($node->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE application_name = 'trainer'"),
	qr{^/\* idla_train: training epoch \d+ of 100000, network 1 of \d+ \*/ SELECT idla_train}, 'which shows the epoch before the query');
is($node->safe_psql('postgres', 'SELECT count(*) FROM idla_progress', extra_params => [ '-U', 'stranger' ]), '0', 'a stranger sees nothing of it');
is($node->safe_psql('postgres', 'SELECT count(*) FROM idla_progress', extra_params => [ '-U', 'watcher' ]), '1', 'a member of pg_read_all_stats does');

# NOTICEs come at growing intervals, not with every epoch
sleep 5;
my $epochs = $node->safe_psql('postgres', 'SELECT epoch FROM idla_progress');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'trainer'");
finish_session($session);
my $notices = () = $session->{err} =~ /NOTICE: .*epoch \d+ of at most/g;
cmp_ok($notices, '>=', 1, 'there were NOTICEs');
cmp_ok($notices, '<=', 5, "few of them, in $epochs epochs");
is($node->safe_psql('postgres', 'SELECT count(*) FROM idla_progress'), '0', 'a cancelled training is gone');

# There is room for the counts of 1,024 versions; those that were not asked for longest make room for others.
$node->safe_psql('postgres', <<'END');
SET client_min_messages = error;
SELECT idla_train('few', 'source', 'sick', architecture => 'linear', options => '{"epochs": 2}');
SELECT count(idla_copy('few', 'many')) FROM generate_series(1, 1030);
CREATE FUNCTION ask(first int, last int) RETURNS bigint LANGUAGE sql
AS $$ SELECT count(idla_predict('many', p, version => v)) FROM (SELECT age, sex, pressure FROM patients LIMIT 1) p, generate_series(first, last) v $$;
END
is($node->safe_psql('postgres', 'SELECT ask(1, 1024); SELECT count(*), min(version), max(version), sum(rows) FROM idla_stat_models'),
	"1024\n1024|1|1024|1024", '1,024 versions are counted');
is($node->safe_psql('postgres', "SELECT ask(2, 2), ask(1025, 1030); SELECT count(*), min(version), max(version), bool_or(version = 2) FROM idla_stat_models"),
	"1|6\n1024|2|1030|t", 'more of them take the places of those that were not asked for longest');
$node->stop;

# Without preloading all works but the view, which says what it needs.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->start;
my ($status, $out, $err) = $node->psql('postgres', 'SELECT * FROM idla_progress');
like($err, qr/needs idla to be loaded at server start.*HINT: .*shared_preload_libraries/s, 'the view says that it needs preloading');
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM idla_stat_models), idla_stat_reset()'), '0|0', 'nothing is counted, which is no error');
is( $node->safe_psql('postgres', "SET client_min_messages = error; SELECT version FROM idla_train('short', 'source', 'sick', architecture => 'linear', options => '{\"epochs\": 2}')"),
	'1', 'training works without');
is($node->safe_psql('postgres', "SELECT count(idla_predict('short', p)) FROM patients p"), '5000', 'predicting too');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_settings WHERE name LIKE 'idla.%'"), '0', 'the settings come with the first use');
is($node->safe_psql('postgres', "SET idla.progress = off; SELECT count(idla_predict('short', p)) FROM (SELECT * FROM patients LIMIT 1) p; SELECT setting FROM pg_settings WHERE name = 'idla.progress'"),
	"1\noff", 'and take what was set before');
$node->stop;

done_testing();
