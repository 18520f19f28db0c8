# 001_leak.pl: a hundred trainings in one backend leave its own memory where it was after ten (RssAnon: without the buffers it shares).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('leak');
$node->init;
$node->append_conf('postgresql.conf', "idla.progress = off\nidla.threads = 2\n");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION idla;
CREATE TABLE rows AS
SELECT i AS id, sin(i) AS a, cos(i * 0.7) AS b, i % 17 AS c, (ARRAY['x', 'y', 'z'])[1 + i % 3] AS d,
       sin(i) + cos(i * 0.7) + (i % 5) / 10.0 > 0.3 AS label
FROM generate_series(1, 2000) i;
CREATE FUNCTION resident_kb() RETURNS bigint LANGUAGE sql
AS $$ SELECT (regexp_match(pg_read_file('/proc/self/status'), 'RssAnon:\s+(\d+)'))[1]::bigint $$;
END

my $train = q{SELECT count(*) FROM idla_train('leak', 'rows', 'label', options => '{"epochs": 2, "folds": 1, "columns": {"id": "ignore"}}');};
my $predict = q{SELECT count(idla_predict('leak', r)) FROM rows r;};
my $script = join "\n", "SET client_min_messages = warning;",
	map { ($train, $predict, $_ == 10 || $_ == 100 ? 'SELECT resident_kb();' : ()) } 1 .. 100;
my @lines = split /\n/, $node->safe_psql('postgres', $script);
my @sizes = grep { $_ > 2000 } @lines;
is(scalar @sizes, 2, 'its memory was read twice');
cmp_ok($sizes[1], '<=', 1.05 * $sizes[0], 'its memory stays within five percent');
note "after 10 trainings $sizes[0] kB, after 100 trainings $sizes[1] kB";
is($node->safe_psql('postgres', 'SELECT max(version) FROM leak'), '100', 'a hundred versions are there');
$node->stop;
done_testing();
