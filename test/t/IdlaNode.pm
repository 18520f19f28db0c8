# IdlaNode.pm: what the tests with servers of their own share: a server, a table, a session that runs beside.
package IdlaNode;

use strict;
use warnings;
use Exporter qw(import);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(start_node start_node_of make_patients start_session finish_session start_locker unlock wait_until is_soon lines_of);

# A running server; more lines for postgresql.conf.
sub start_node
{
	my ($name, @settings) = @_;

	return start_node_of($name, [], @settings);
}

# The same with arguments for the server's making, such as where it is installed.
sub start_node_of
{
	my ($name, $how, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, @$how);

	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf', join("\n", "shared_preload_libraries = 'idla'", 'max_worker_processes = 16', @settings) . "\n");
	$node->start;
	return $node;
}

# The table patients, $n rows that a model can learn from, with a category beyond ASCII.
sub make_patients
{
	my ($node, $database, $n) = @_;

	$node->safe_psql($database, <<"END");
SET client_encoding = 'UTF8';
CREATE TABLE patients AS
SELECT i AS id, 30 + (i * 37) % 50 AS age, (ARRAY['f', 'm', 'Z\x{c3}\x{bc}rich'])[1 + i % 3] AS sex,
	CASE WHEN i % 11 = 0 THEN NULL ELSE (90 + (i * 53) % 80)::numeric(5, 1) END AS pressure,
	(i * 37) % 50 + (i * 17) % 20 > 34 AS sick, ((i * 37) % 50) * 0.5 + (i * 17) % 20 AS stay
FROM generate_series(1, $n) i;
CREATE VIEW source AS SELECT age, sex, pressure, sick FROM patients;
END
	return;
}

# psql running $sql in the background, known to pg_stat_activity by $name.
sub start_session
{
	my ($node, $database, $name, $sql) = @_;
	my %session = (name => $name, in => $sql, out => '', err => '');

	$session{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr($database) . " application_name=$name", '-f', '-' ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err});
	return \%session;
}

sub finish_session
{
	my ($session) = @_;

	IPC::Run::finish($session->{run});
	return;
}

# Polls $query until it says t; false after a minute.
sub wait_until
{
	my ($node, $database, $query, $session) = @_;
	my $start = time;

	while (time - $start < 60)
	{
		$session->{run}->pump_nb if $session && $session->{run}->pumpable;
		return 1 if $node->safe_psql($database, $query) eq 't';
		sleep 0.02;
	}
	return 0;
}

# A session that has the table for itself until unlock(), then runs $sql in the same transaction.
sub start_locker
{
	my ($node, $database, $table, $sql) = @_;
	my $session = start_session($node, $database, 'locker',
		"BEGIN; LOCK TABLE $table; DO 'BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END'; " . ($sql || '') . " COMMIT;\n");

	Test::More::ok(wait_until($node, $database, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'locker' AND wait_event = 'PgSleep')", $session),
		'the table is locked');
	return $session;
}

# Wakes a session that sleeps: one of start_locker()'s lets go of its table.
sub unlock
{
	my ($node, $session) = @_;

	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = '$session->{name}'");
	finish_session($session);
	return;
}

# A test that $query comes to answer $expected within a minute: what a session leaves behind that has just ended, its server process may still be tidying up.
sub is_soon
{
	my ($node, $database, $query, $expected, $name) = @_;
	my $start = time;
	my $now = $node->safe_psql($database, $query);

	while ($now ne $expected && time - $start < 60)
	{
		sleep 0.02;
		$now = $node->safe_psql($database, $query);
	}
	return Test::More::is($now, $expected, $name);
}

sub lines_of
{
	my ($text) = @_;
	return scalar(() = $text =~ /\n/g);
}

1;
