# 004_odd_calls.pl: every function with every odd argument, for ten minutes; see OddCalls.pm.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use lib dirname(abs_path(__FILE__)) . '/../t';
use OddCalls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = dirname(abs_path(__FILE__)) . '/../t';
# For a library built with sanitizers, theirs comes first.
local $ENV{LD_PRELOAD} = $ENV{IDLA_ODD_PRELOAD} if $ENV{IDLA_ODD_PRELOAD};
my $node = PostgreSQL::Test::Cluster->new('odd');
# Words for initdb: another encoding, '--encoding=SQL_ASCII --locale=C'.
$node->init(extra => [ split ' ', $ENV{IDLA_ODD_INITDB} // '' ]);
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'idla'
max_worker_processes = 16
fsync = off
restart_after_crash = on
END
$node->start;
delete $ENV{LD_PRELOAD};
cmp_ok(prepare_odd_calls($node, $folder), '>', 60, 'there is something to call');
# Odd calls may leave another version of a model behind, as they may: what answers as before is a copy that none of them names.
$node->safe_psql('postgres', 'CREATE SCHEMA quiet; CREATE TABLE quiet.model (LIKE m_mlp INCLUDING ALL); INSERT INTO quiet.model SELECT * FROM m_mlp;'
	. ' CREATE TABLE quiet.patients AS TABLE patients; CREATE TABLE quiet.answers AS SELECT p.*, idla_predict(\'quiet.model\', p) AS answer FROM quiet.patients p');
open $OddCalls::log, '>', $ENV{IDLA_ODD_LOG} or die $! if $ENV{IDLA_ODD_LOG};
run_odd_calls($node, $ENV{IDLA_ODD_SEED} || int(time) % 1_000_000 * 1000, 40, $ENV{IDLA_ODD_SECONDS} || 600, $ENV{IDLA_ODD_SESSIONS} || 2, $ENV{IDLA_ODD_SEEDS});
is($node->safe_psql('postgres', 'SELECT count(*) FROM quiet.answers a WHERE idla_predict(\'quiet.model\', a) = answer'), '200', 'models answer as before');
$node->stop;
done_testing();
