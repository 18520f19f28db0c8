# 013_odd_calls.pl: some hundred odd calls of all functions; test/long has as many as ten minutes take. See OddCalls.pm.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IdlaNode;
use OddCalls;
use Test::More;

my $node = start_node('odd', 'fsync = off', 'idla.threads = 2', 'restart_after_crash = on');
cmp_ok(prepare_odd_calls($node, dirname(abs_path(__FILE__))), '>', 60, 'there is something to call');
run_odd_calls($node, 1, 40, 20, 1, 25);
is($node->safe_psql('postgres', 'SELECT count(idla_predict(\'m_mlp\', p)) FROM patients p'), '200', 'models answer as before');
$node->stop;
done_testing();
