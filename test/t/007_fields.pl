# Trainings of images and signals end within 100 ms when cancelled, decoding included, and give the same bits when their images spill.
use strict;
use warnings;
use Compress::Zlib qw(compress crc32);
use IdlaNode;
use Test::More;

my $node = start_node('main', 'fsync = off', 'temp_file_limit = -1');

# A grey PNG of noise, which compresses to nothing: decoding has something to do.
sub png
{
	my ($side, $seed) = @_;
	my $rows = '';
	my $state = $seed;
	for my $y (1 .. $side)
	{
		$rows .= "\0";
		for my $x (1 .. $side)
		{
			$state = ($state * 1103515245 + 12345) & 0x7fffffff;
			$rows .= chr($state >> 16 & 255);
		}
	}
	my $chunk = sub { my ($kind, $data) = @_; return pack('N', length $data) . $kind . $data . pack('N', crc32($kind . $data)) };
	return "\x89PNG\r\n\x1a\n" . $chunk->('IHDR', pack('NNCCCCC', $side, $side, 8, 0, 0, 0, 0)) . $chunk->('IDAT', compress($rows)) . $chunk->('IEND', '');
}

$node->safe_psql('postgres', 'CREATE EXTENSION idla');
$node->safe_psql('postgres', 'CREATE TABLE photos (id int, image bytea)');
$node->safe_psql('postgres', "INSERT INTO photos VALUES ($_, '\\x" . unpack('H*', png(700, $_)) . "')") for 1 .. 2;
$node->safe_psql('postgres', "INSERT INTO photos VALUES ($_, '\\x" . unpack('H*', png(100, $_)) . "')") for 3 .. 40;
$node->safe_psql('postgres', <<'END');
CREATE TABLE grids AS SELECT i AS id, i % 2 = 0 AS sick,
	(SELECT array_agg(line ORDER BY y) FROM (SELECT y, array_agg((sin(x * y + i) + i % 2)::real ORDER BY x) AS line FROM generate_series(1, 28) x, generate_series(1, 28) y GROUP BY y) l) AS grid
FROM generate_series(1, 600) i;
CREATE TABLE waves AS SELECT i AS id, i % 2 = 0 AS sick, (SELECT array_agg((sin(t / (2.0 + i % 2)) + i)::real ORDER BY t) FROM generate_series(1, 300) t) AS wave
FROM generate_series(1, 600) i;
CREATE FUNCTION stop_session(name text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE victim int; start timestamptz;
BEGIN
	SELECT pid INTO STRICT victim FROM pg_stat_activity WHERE application_name = name;
	start := clock_timestamp();
	PERFORM pg_cancel_backend(victim);
	LOOP
		PERFORM pg_stat_clear_snapshot();
		EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = victim AND state = 'active');
		IF clock_timestamp() > start + interval '30 s' THEN RETURN 'infinity'; END IF;
		PERFORM pg_sleep(0.001);
	END LOOP;
	RETURN extract(epoch FROM clock_timestamp() - start) * 1000;
END $$;
END

# ---- cancelling ----

my $forever = '"epochs": 100000, "patience": 0';
my %long = (
	'training a convolutional net' => [ "SELECT idla_train('new', 'SELECT grid, sick FROM grids', 'sick', 'binary', 'cnn', '{$forever, \"columns\": {\"grid\": \"image\"}}')", 'training' ],
	'training a residual net' => [ "SELECT idla_train('new', 'SELECT grid, sick FROM grids', 'sick', 'binary', 'resnet20', '{$forever, \"width\": 32, \"batch\": 256, \"columns\": {\"grid\": \"image\"}}')", 'training' ],
	'training a GRU' => [ "SELECT idla_train('new', 'SELECT wave, sick FROM waves', 'sick', 'binary', 'gru', '{$forever, \"width\": 128, \"batch\": 128}')", 'training' ],
	'training convolutions over time' => [ "SELECT idla_train('new', 'SELECT wave, sick FROM waves', 'sick', 'binary', 'fcn', '{$forever, \"batch\": 256}')", 'training' ],
	'decoding images' => [ "SELECT idla_train('new', 'SELECT image, g % 2 = 0 AS sick FROM photos, generate_series(1, 100000) g WHERE id <= 2', 'sick', 'binary', 'cnn', '{\"columns\": {\"image\": {\"height\": 16, \"width\": 16}}}')", 'reading' ],
);

my $n = 0;
for my $what (sort keys %long)
{
	my ($sql, $phase) = @{ $long{$what} };
	my $best = 'inf';

	# The machine may be busy with other tests: one quick end of five shows that nothing waits.
	for my $try (1 .. 5)
	{
		my $name = 'victim' . $n++;
		my $session = start_session($node, 'postgres', $name, "SET idla.progress = off;\n$sql;\n");
		my $there = wait_until($node, 'postgres', "SELECT EXISTS (SELECT FROM idla_progress g JOIN pg_stat_activity a USING (pid) WHERE a.application_name = '$name' AND g.phase = '$phase')", $session);
		ok(0, "$what: it never came to $phase: $session->{out} $session->{err}") unless $there;
		my $took = $node->safe_psql('postgres', "SELECT pg_sleep(0.5); SELECT stop_session('$name')");
		$took =~ s/\s//g;
		finish_session($session);
		like($session->{err}, qr/57014/, "$what: cancelled") if $try == 1;
		$best = $took if $took < $best;
		last if $best < 100;
	}
	cmp_ok($best, '<', 100, "$what ends within 100 ms");
}

my ($status, $out, $error) = $node->psql('postgres', "SET idla.progress = off; SET statement_timeout = '500ms'; $long{'training a GRU'}[0]");
like($error, qr/statement timeout/, 'statement_timeout ends a training, too');
($status, $out, $error) = $node->psql('postgres', "SET statement_timeout = '500ms'; $long{'decoding images'}[0]");
like($error, qr/statement timeout/, 'and decoding');
is($node->safe_psql('postgres', "SELECT to_regclass('new') IS NULL"), 't', 'no model is left');
is($node->safe_psql('postgres', 'SELECT count(*) FROM idla_progress'), '0', 'nor progress');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'nor a temporary file');

# ---- spilling ----

# 64 x 64 bytes an image: 8 MB in all, eight times the setting
my $train = "SET idla.progress = off; SET idla.threads = 2; SELECT idla_train('%s', 'SELECT image, g AS age, (id + g) %% 2 = 0 AS sick FROM photos, generate_series(1, 50) g WHERE id > 2', 'sick', 'binary', 'cnn', "
	. "'{\"epochs\": 1, \"width\": 2, \"depth\": 1, \"seed\": 1, \"columns\": {\"image\": {\"height\": 64, \"width\": 64}}}')";
my $before = $node->safe_psql('postgres', 'SELECT temp_files FROM pg_stat_database WHERE datname = current_database()');
$node->safe_psql('postgres', "SET idla.train_memory = '1GB'; " . sprintf($train, 'in_memory'));
$node->safe_psql('postgres', "SET idla.train_memory = '1MB'; " . sprintf($train, 'spilled'));
is($node->safe_psql('postgres', "SELECT count(DISTINCT manifest->>'weights_sha256') FROM (SELECT manifest FROM in_memory UNION ALL SELECT manifest FROM spilled) m"), '1', 'the weights are the same bits, spilled or not');
ok($node->poll_query_until('postgres', "SELECT temp_files > $before FROM pg_stat_database WHERE datname = current_database()"), 'and one of the two did spill');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'the temporary file is gone');
($status, $out, $error) = $node->psql('postgres', "SET idla.train_memory = '1MB'; SET temp_file_limit = '2MB'; " . sprintf($train, 'limited'));
like($error, qr/temporary file size exceeds temp_file_limit/, 'temp_file_limit is respected');
is($node->safe_psql('postgres', "SELECT to_regclass('limited') IS NULL"), 't', 'and no model is left');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'nor a temporary file');

$node->stop;
done_testing();
