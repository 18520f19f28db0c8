# 003_random_queries.pl: random queries with predictions in them give the same rows in batches and row by row, for ten minutes.
#
# A query is grown from a seed: sources (tables, partitions, joins, subqueries, groups, sets), and over each of them a target list, conditions,
# an order and a limit with calls of the predict family wherever an expression may stand. A crash, or a difference, names the seed.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{IDLA_RANDOM_SECONDS} || 600;
my $node = PostgreSQL::Test::Cluster->new('random');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'idla'
idla.progress = off
min_parallel_table_scan_size = 0
parallel_setup_cost = 10
parallel_tuple_cost = 0.001
statement_timeout = 20s
END
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION idla;
CREATE TABLE p (id int PRIMARY KEY, a float8, b real, c int, d text, e numeric, f date, y boolean, z text);
INSERT INTO p SELECT i, sin(i), CASE WHEN i % 9 > 0 THEN cos(i * 0.7) END, i % 17, (ARRAY['x', 'y', 'w'])[1 + i % 3], i % 101 / 10.0,
	date '2020-01-01' + i % 300, sin(i) + cos(i * 0.7) > 0.3, (ARRAY['low', 'mid', 'top'])[1 + i % 17 / 6] FROM generate_series(1, 900) i;
CREATE TABLE q (LIKE p) PARTITION BY LIST (d);
CREATE TABLE q_x (extra text, LIKE p);
ALTER TABLE q_x DROP COLUMN extra;
ALTER TABLE q ATTACH PARTITION q_x FOR VALUES IN ('x');
CREATE TABLE q_rest PARTITION OF q DEFAULT;
INSERT INTO q SELECT * FROM p WHERE id <= 500;
CREATE INDEX ON q (id);
CREATE TABLE k AS SELECT i AS c, i / 4 AS g FROM generate_series(0, 15) i;
CREATE VIEW v AS SELECT id, a, b, c, upper(d) AS d, e, f FROM p WHERE c < 12;
CREATE TABLE parent (id int, c int, a float8, d text, b real, f date, e numeric);
CREATE TABLE child (g int, LIKE p) INHERITS (parent);
INSERT INTO parent SELECT id, c, a, d, b, f, e FROM p WHERE id <= 200;
INSERT INTO child (id, a, b, c, d, e, f) SELECT id, a, b, c, d, e, f FROM p WHERE id > 600;
CREATE EXTENSION postgres_fdw;
DO $$ BEGIN
	EXECUTE format('CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L, async_capable ''true'')',
		split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER here;
CREATE TABLE far (LIKE p) PARTITION BY RANGE (c);
CREATE FOREIGN TABLE far_low PARTITION OF far FOR VALUES FROM (0) TO (6) SERVER here OPTIONS (table_name 'near_low');
CREATE FOREIGN TABLE far_high PARTITION OF far FOR VALUES FROM (6) TO (12) SERVER here OPTIONS (table_name 'near_high');
CREATE TABLE far_rest PARTITION OF far FOR VALUES FROM (12) TO (100);
CREATE TABLE near_low AS SELECT * FROM p WHERE c < 6 AND id <= 400;
CREATE TABLE near_high AS SELECT * FROM p WHERE c BETWEEN 6 AND 11 AND id <= 400;
INSERT INTO far_rest SELECT * FROM p WHERE c > 11 AND id <= 400;
ANALYZE;
SELECT count(*) FROM idla_train('m', 'SELECT a, b, c, d, e, f, y FROM p', 'y', architecture => 'mlp', options => '{"epochs": 2, "folds": 1}');
SELECT count(*) FROM idla_train('n', 'SELECT a, c, d, z FROM p', 'z', architecture => 'linear', options => '{"epochs": 2, "folds": 1}');
CREATE VIEW scored AS SELECT p.*, idla_predict('m', p) AS risk, idla_classify('n', p) AS class FROM p;
END

my $depth = 0;

sub one_of { return $_[ int rand @_ ]; }
sub chance { return rand() < $_[0]; }

# A call about the row r.
sub call
{
	return one_of("idla_predict('m', r)", "idla_predict('m', r, output => 'false')", "idla_predict('n', r, output => 'mid')",
		"idla_predict('m', r, version => 1)", "length(idla_classify('n', r))::float8", "(idla_probabilities('n', r) ->> 'low')::float8",
		"(idla_classify('m', r))::boolean::int::float8", "coalesce(array_length(idla_label_set('n', r, 0.8), 1), 0)::float8",
		"length(coalesce(idla_classify('n', r, abstain => 0.7), ''))::float8", "(idla_embed('m', r))[2]::float8",
		"cardinality(idla_embed('n', r))::float8");
}

sub number
{
	my $level = shift // 0;
	my @simple = (\&call, \&call, sub { 'r.a' }, sub { 'r.c::float8' }, sub { 'coalesce(r.b, 0)::float8' }, sub { 'coalesce(r.e, 1)::float8' }, sub { sprintf '%.2f::float8', rand });
	return one_of(@simple)->() if $level > 2 || chance(0.5);
	return one_of(
		sub { '(' . number($level + 1) . one_of(' + ', ' - ', ' * ') . number($level + 1) . ')' },
		sub { 'CASE WHEN ' . condition($level + 1) . ' THEN ' . number($level + 1) . ' ELSE ' . number($level + 1) . ' END' },
		sub { 'coalesce(nullif(' . number($level + 1) . ', 0), ' . number($level + 1) . ')' },
		sub { 'greatest(' . number($level + 1) . ', ' . number($level + 1) . ')' },
		sub { 'round(' . number($level + 1) . '::numeric, 3)::float8' },
		sub { '(SELECT max(k.g) FROM k WHERE k.c <= r.c)::float8 + ' . number($level + 1) })->();
}

sub condition
{
	my $level = shift // 0;
	return number($level + 1) . one_of(' > ', ' <= ') . number($level + 1) if $level > 1 || chance(0.6);
	return one_of(
		sub { '(' . condition($level + 1) . one_of(' AND ', ' OR ') . condition($level + 1) . ')' },
		sub { 'NOT (' . condition($level + 1) . ')' },
		sub { 'r.c < ' . int rand 17 },
		sub { 'EXISTS (SELECT FROM k WHERE k.c = r.c AND k.g < ' . int(rand 4) . ')' },
		sub { number($level + 1) . ' IS NOT NULL' })->();
}

# Something with the models' columns a to f, under the name r.
sub source
{
	$depth++;
	my @simple = ('p r', 'q r', 'v r', 'p r JOIN k USING (c)', 'k JOIN q r ON k.c = r.c', 'p r LEFT JOIN k ON k.c = r.c AND k.g > 1',
		'k LEFT JOIN p r ON r.id = k.c * 60', 'k, LATERAL (SELECT * FROM p WHERE p.c = k.c LIMIT 5) r',
		'parent r', 'far r', 'scored r', 'k LEFT JOIN scored r ON r.c = k.c AND r.id < 90', 'k LEFT JOIN (SELECT r.*, k.g FROM scored r JOIN k USING (c)) r ON r.c = k.c + 2 AND r.id < 90', 'far r JOIN k USING (c)', '(SELECT *, class AS d2 FROM scored WHERE risk > 0.4) r', 'p r TABLESAMPLE system (60) REPEATABLE (1)');
	my $made = $depth > 2 || chance(0.6) ? one_of(@simple) : one_of(
		sub { '(SELECT r.a, r.b, r.c, r.d, r.e, r.f FROM ' . source() . ' WHERE ' . condition(1) . ') r' },
		sub { '(SELECT ' . number(2) . ' AS a, r.b, r.c, r.d, r.e, r.f FROM ' . source() . ') r' },
		sub { '(SELECT avg(r.a) AS a, max(r.b) AS b, r.c, min(r.d) AS d, sum(r.e) AS e, max(r.f) AS f FROM ' . source() . ' GROUP BY r.c) r' },
		sub { '(SELECT a, b, c, d, e, f FROM p WHERE c < 5 UNION ALL SELECT a, b, c, d, e, f FROM q WHERE c > 9) r' },
		sub { '(SELECT DISTINCT a, b, c, d, e, f FROM q OFFSET 0) r' },
		sub { '(WITH RECURSIVE w AS (SELECT r.a, r.b, r.c, r.d, r.e, r.f, 1 AS n FROM ' . source() . ' WHERE ' . condition(1) . ' UNION ALL SELECT r.a + 0.1, r.b, r.c, r.d, r.e, r.f, n + 1 FROM w r WHERE n < 3 AND '
				. condition(1) . ') SELECT * FROM w) r' },
		sub { '(WITH w AS MATERIALIZED (SELECT r.a, r.b, r.c, r.d, r.e, r.f, ' . number(2) . ' AS known FROM ' . source() . ') SELECT x.*, y.known AS other FROM w x JOIN w y ON x.a = y.a AND x.c = y.c) r' })->();
	$depth--;
	return $made;
}

sub query
{
	my $from = source();
	my $where = chance(0.5) ? ' WHERE ' . condition() : '';
	my @targets = map { number() . " AS x$_" } 1 .. 1 + int rand 3;
	my $made = one_of(
		sub { 'SELECT ' . join(', ', @targets) . ", r.c FROM $from$where" },
		sub { 'SELECT r.c, avg(' . number() . ') FILTER (WHERE ' . condition() . '), max(' . number() . "), count(*) FROM $from$where GROUP BY r.c"
				. (chance(0.3) ? ' HAVING min(' . number() . ') < 0.7' : '') },
		sub { 'SELECT r.c, r.d, max(' . number() . ') AS most, min(r.a), avg(' . number() . ") FROM $from$where GROUP BY "
				. one_of('ROLLUP (r.c, r.d)', 'CUBE (r.d, r.c)', 'GROUPING SETS ((r.c, r.d), (r.d), (r.c), ())') },
		sub { 'SELECT r.d, sum(' . number() . ") OVER (PARTITION BY r.c ORDER BY r.a, r.e, r.d, r.f, r.b) AS s FROM $from$where" },
		sub { 'SELECT * FROM (SELECT ' . $targets[0] . ', r.c, row_number() OVER (ORDER BY r.a, r.c, r.d, r.e, r.f, r.b) AS rn, '
				. number() . " AS y FROM $from$where) w WHERE rn <= " . int(rand 20) },
		sub { 'SELECT x1, r1 FROM (SELECT ' . $targets[0] . ", r.c AS r1 FROM $from$where ORDER BY 1, 2 LIMIT " . int(rand 40) . ') w' },
		sub { 'SELECT idla_classify(\'n\', r) AS class, count(*) FROM ' . "$from$where GROUP BY 1" },
		sub { 'SELECT r.c, array_agg(round(' . number() . '::numeric, 3) ORDER BY ' . number() . ", r.a, r.e) FROM $from$where GROUP BY r.c" },
		sub { 'SELECT r.c, ' . number() . " AS x, generate_series(1, r.c % 3) AS s FROM $from$where" },
		sub { 'SELECT count(*), min(x), max(x) FROM (SELECT ' . number() . " AS x FROM $from$where EXCEPT SELECT " . number() . ' FROM p r WHERE r.id < 50) w' })->();
	return $made;
}

# Sums of floats depend on the order of rows, so numbers are compared to six digits.
sub rounded
{
	my $rows = shift;
	$rows =~ s/(-?\d+\.\d+(?:e[-+]?\d+)?)/sprintf('%.6g', $1)/ge;
	$rows =~ s/(?<![\d.])-0(?![\d.])/0/g;
	return join "\n", sort split /\n/, $rows;
}

# The same row for row; a sum may lie on the edge between two roundings, and the larger of 0 and -0 is either.
sub is_same
{
	my ($left, $right) = map { [ split /\n/ ] } @_;

	return 0 if @$left != @$right;
	for my $row (0 .. $#$left)
	{
		my @a = split /\|/, $left->[$row], -1;
		my @b = split /\|/, $right->[$row], -1;
		return 0 if @a != @b;
		for my $i (0 .. $#a)
		{
			next if $a[$i] eq $b[$i];
			return 0 if grep { !/^-?\d+(\.\d+)?(e[-+]?\d+)?$/ } $a[$i], $b[$i];
			return 0 if abs($a[$i] - $b[$i]) > 2e-5 * (1 + abs $a[$i]);
		}
	}
	return 1;
}

sub compare
{
	my $made = shift;
	my @answers;
	for my $batches ('on', 'off')
	{
		my $settings = "SET idla.batch_predict = $batches; SET max_parallel_workers_per_gather = " . int(rand 3) . ';'
			. (chance(0.2) ? ' SET jit_above_cost = 0;' : '') . (chance(0.2) ? ' SET enable_hashjoin = off; SET enable_mergejoin = off;' : '')
			. (chance(0.1) ? ' SET enable_hashagg = off; SET enable_nestloop = off;' : '') . (chance(0.2) ? ' SET idla.batch_rows = ' . (1 + int rand 40) . ';' : '')
			. (chance(0.2) ? ' SET enable_partitionwise_join = on; SET enable_partitionwise_aggregate = on;' : '');
		# as it is, or a few rows at a time
		my ($status, $out, $error) = $node->psql('postgres', $settings . (chance(0.7) ? " $made" : " BEGIN; DECLARE few CURSOR FOR $made; FETCH 3 FROM few; FETCH 40 FROM few; FETCH ALL FROM few; COMMIT"));
		push @answers, $status == 0 ? rounded($out) : "error: " . ($error =~ /ERROR:  (.*)/ ? $1 : "status $status, $error");
	}
	return @answers;
}

my $seed = $ENV{IDLA_RANDOM_SEED} || int(time) % 1_000_000;
note "seeds from $seed on";
my $end = time + $seconds;
my ($n, $errors, $batched, $bad) = (0, 0, 0, 0);
while (time < $end && $bad < 5)
{
	srand($seed + $n++);
	my $made = query();
	my ($with, $without) = compare($made);
	# as long as that it may take in one way and not in the other
	next if "$with$without" =~ /statement timeout/;
	$errors++ if $with =~ /^error/;
	if (!is_same($with, $without))
	{
		$bad++;
		diag "seed " . ($seed + $n - 1) . ": $made\nin batches:\n" . substr($with, 0, 500) . "\nrow by row:\n" . substr($without, 0, 500);
	}
	my ($status, $plan, $error) = $node->psql('postgres', "EXPLAIN (VERBOSE) $made");
	$batched++ if $plan =~ /IDLA Batch Predict/;
	if ($status == 2 || ($status != 0 && $with !~ /^error/))
	{
		$bad++;
		diag "seed " . ($seed + $n - 1) . " cannot be explained: $error for $made";
	}
}
is($bad, 0, "$n random queries are the same in batches and row by row");
cmp_ok($errors, '<', $n / 2, "$errors of them are errors, the same ones");
cmp_ok($batched, '>', 0, 'and there were batches');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server is there');
$node->stop;
done_testing();
