# OddCalls.pm: calls of every function, aggregate and operator of the extension with arguments that fit, nearly fit or do not fit at all.
#
# What there is to call is read from the catalog, so that a new function is called without being named here. A call is made of a seed and nothing else:
# who sees a failure runs the same seed again. Half of the arguments fit the model of the call (rows of its table, its source, its labels), for calls that
# a first check refuses test that check alone; the others come from a pool for their type. How a call is made (in a worker, a subtransaction, a trigger, a
# cursor, as somebody without rights ...) is drawn as well. Besides, rows of models are changed by their owner, digests made anew, and the models asked.
package OddCalls;

use strict;
use warnings;
no warnings 'qw';
use Exporter qw(import);
use IPC::Run ();
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(prepare_odd_calls run_odd_calls);

# What the models of odd_calls.sql are asked with: a row's source, a source that has the target, outputs.
my %models = (
	m_mlp => [ 'patients', 'patients', 'true', 'false' ],
	m_tabm => [ 'patients', 'patients', 'low', 'middle', 'high' ],
	m_nam => [ 'patients', 'patients', 'stay' ],
	m_two => [ 'patients', 'patients', 'stay', 'days' ],
	m_labels => [ 'patients', 'patients', 'sick', 'tired' ],
	m_survival => [ 'patients', 'patients' ],
	m_robust => [ 'patients', 'patients', 'true' ],
	m_trial => [ 'patients', 'patients', 'true' ],
	m_logged => [ 'patients', 'patients', 'true' ],
	m_scan => [ 'pictures', 'pictures', 'true' ],
	m_xray => [ 'xrays', 'SELECT image, pneumonia FROM xrays WHERE xray < 30', 'true' ],
	m_wave => [ 'pictures', 'pictures', 'true' ],
	m_window => [ 'pictures', 'pictures', 'true' ],
	m_rocket => [ 'pictures', 'pictures', 'true' ],
	m_words => [ 'pictures', 'pictures', 'true' ],
	m_note => [ 'notes', 'notes', 'true' ],
	m_transformer => [ 'notes', 'notes', 'true' ],
	m_tagger => [ 'notes', 'SELECT tokens, tags FROM notes', 'Disease' ],
	m_series => [ 'events', 'events', 'true' ],
	m_pairs => [ 'pairs', 'pairs', 'true' ]);
my @models = sort keys %models;
my @strangers = qw(o_view o_stored o_sequence o_parts o_part o_parent o_child o_empty o_torn o_hollow o_unlogged o_secret o_none o_type o_dropped patients pictures m_mlp_pkey
	pg_catalog.pg_class pg_catalog.pg_authid pg_catalog.pg_stat_activity idla_prediction_log idla_predictions idla_models temporary);

my @huge = ("repeat('x', 1000000)", "repeat('(', 20000)", "repeat('a ', 200000)", "repeat(E'\\u00e9', 70000)");
my @words = ('', 'x', ' ', 'true', 'false', 'low', 'middle', 'stay', 'sick', 'age', 'sex', 'image', 'scan', 'wave', 'note', 'values', 'auto', 'mlp', 'linear', 'tabm', 'nam', 'resnet', 'cnn', 'resnet20', 'fcn', 'lstm',
	'gru', 'rocket', 'bag', 'transformer', 'bilstm_crf', 'binary', 'multiclass', 'multilabel', 'regression', 'survival', 'tagging', 'grad_cam', 'integrated_gradients', 'occlusion', 'shapley', 'safetensors', 'onnx', 'int8',
	'bfloat16', 'float32', 'entity', 'strict', 'token', 'tagged', 'm_mlp', 'm_tabm', 'public.m_mlp', 'pg_catalog.m', 'nosuch.m', '"', '""', 'a.b.c.d', '.', '"a', '%s%n%d', "\x27", '\\', '$1', 'dense(8) relu', 'conv(2) global_mean',
	'dense(99999999999)', 'dense(-1)', 'dense(', 'stay,days', 'sick,sick', ',', 'sick,', 'version', 'chunk', "\xe2\x80\xae", "\xf0\x9f\x98\x80", "\x01", "a\nb", 'x' x 63, 'x' x 64, 'x' x 65, "\xc3\xa9" x 40,
	'Case 7 had asthma and took heparin.', 'NaN', '1e400', '-1', '0', 'infinity', 'null', 'pg_class', 'idla_prediction_log', 'patients');
my @sources = ('', ' ', ';', 'patients', 'pictures', 'notes', 'events', 'pairs', 'xrays', 'public.patients', 'o_view', 'o_none', 'o_dropped', 'o_nested', 'o_empty', 'o_sequence', 'o_secret', 'm_mlp', 'm_mlp_pkey', 'nosuch', 'pg_class', 'pg_statistic',
	'temporary', 'idla_models', 'idla_prediction_log', 'SELECT', 'SELECT * FROM', 'SELECT * FROM patients;', 'SELECT * FROM patients; SELECT 1', 'SELECT * FROM patients -- x', 'SELECT * FROM patients /* x', 'DELETE FROM patients RETURNING *',
	'INSERT INTO notes DEFAULT VALUES RETURNING *', 'WITH d AS (DELETE FROM patients RETURNING *) SELECT * FROM d', 'VALUES (1, true), (2, false)', 'TABLE patients', 'SHOW all', 'EXPLAIN SELECT 1', 'COMMIT', 'ROLLBACK', 'BEGIN', 'DROP TABLE m_mlp', 'VACUUM', 'COPY patients TO STDOUT',
	'SELECT * FROM patients, patients p', 'SELECT age, age, sick FROM patients', 'SELECT 1 AS age', 'SELECT * FROM patients WHERE false', 'SELECT * FROM patients LIMIT 1', 'SELECT * FROM patients LIMIT 3', 'SELECT NULL::int AS age, sick, sex, NULL::numeric AS pressure, stay, risk FROM patients', 'SELECT age, sick FROM patients',
	'SELECT age, sex, pressure, sick, 1 / (id - 150) AS stay FROM patients', 'SELECT pg_sleep(0.001), * FROM patients', 'SELECT *, idla_predict(\'m_mlp\', p) AS x FROM patients p', 'SELECT age, true AS sick FROM patients', 'SELECT age, NULL::bool AS sick FROM patients',
	'SELECT \'infinity\'::float8 AS age, sex, pressure, sick, stay FROM patients', 'SELECT \'NaN\'::float8 AS stay, age, sex, pressure FROM patients', 'SELECT 1e300::float8 * id AS stay, age, sex, pressure, id AS days FROM patients', 'SELECT age, sex, pressure, repeat(\'x\', id * 100) AS risk FROM patients', 'SELECT age, sex, id::text AS risk FROM patients',
	'SELECT (10.0 ^ id)::numeric AS age, sex, sick FROM patients', 'SELECT \'{}\'::float4[] AS wave, age, sick FROM pictures', 'SELECT ARRAY[NULL]::float4[] AS wave, age, sick FROM pictures', 'SELECT scan AS wave, wave AS scan, age, sick FROM pictures', 'SELECT ARRAY[[]]::float4[] AS scan, age, sick FROM pictures',
	'SELECT \'[3:4][-1:0]={{1,2},{3,4}}\'::float4[] AS wave, age, sick FROM pictures', 'SELECT file AS image, true AS pneumonia FROM files', 'SELECT cut(image, 0.5) AS image, pneumonia FROM xrays', 'SELECT flipped(image, 0.3, 2) AS image, pneumonia FROM xrays', 'SELECT \'\'::bytea AS image, pneumonia FROM xrays', 'SELECT NULL::bytea AS image, pneumonia FROM xrays',
	'SELECT tokens, tags[2:3] AS tags FROM notes', 'SELECT tokens, ARRAY[tags, tags] AS tags FROM notes', 'SELECT \'{}\'::text[] AS tokens, \'{}\'::text[] AS tags FROM notes', 'SELECT array_fill(NULL::text, ARRAY[5]) AS tokens, tags FROM notes', 'SELECT note, \'[{"start": -1, "end": 1e99, "label": ""}]\'::jsonb AS tags FROM notes', 'SELECT note, \'[{"start": 0, "end": 4, "label": "X"}]\'::jsonb AS tags FROM notes',
	'SELECT note, \'{"a": [[[1]]]}\'::jsonb AS tags FROM notes', 'SELECT patient, -hour AS hour, hr, ph, decision, died, age FROM events', 'SELECT 1 AS patient, * FROM (SELECT hour, hr, ph, decision, died, age FROM events) e', 'SELECT patient, NULL::float8 AS hour, hr, ph, decision, died, age FROM events', 'SELECT patient, \'infinity\'::float8 AS hour, hr, ph, decision, died, age FROM events',
	'SELECT patient, hour, hr, ph, NULL::int AS decision, died, age FROM events', 'SELECT patient, hour, what, NULL::float8 AS value, died FROM pairs', 'SELECT patient, hour, NULL::text AS what, value, died FROM pairs', 'SELECT p AS age, sick, sex FROM patients p', 'SELECT ARRAY[p] AS age, sick FROM patients p', 'SELECT \'x\'::xml AS age, sick FROM patients', 'SELECT $1 AS age', 'SELECT :x');

my %pool = (
	'integer' => [ qw(NULL 0 1 1 2 -1 3 7 100 65536 2147483647 -2147483648) ],
	'bigint' => [ qw(NULL 0 1 -1 9223372036854775807 -9223372036854775808) ],
	'boolean' => [ qw(NULL true false) ],
	'double precision' => [ qw(NULL 0 -0.0 0.5 0.9 1 -1 2 0.001 1e-300 1e300 5e-324 0.9999999999999999 1e30 123456.789 'NaN' 'Infinity' '-Infinity') ],
	'real' => [ qw(NULL 0 1 -1 'NaN' 'Infinity' 3e38 1e-45) ],
	'double precision[]' => [ qw(NULL '{}' '{NULL}' '{0.1}' '{0.1,0.5}' '{{0.1,0.2},{0.3,0.4}}' '[5:6]={0.1,0.2}' '{NaN}' '{Infinity}' '{-1}' '{0}' '{1e300}' '{1,NULL}'), 'array_fill(0.1::float8, ARRAY[3000])', 'array_fill(0.1::float8, ARRAY[2,2,2])' ],
	'text[]' => [ qw(NULL '{}' '{NULL}' '{{a,b},{c,d}}' '[0:1]={a,b}' '{""}' '{age}' '{age,sex}' '{age,age}'), "ARRAY['Case', '7', 'had', 'asthma', '.']", "array_fill('asthma'::text, ARRAY[3000])", "array_fill(NULL::text, ARRAY[3, 3])", "ARRAY[repeat('x', 100000)]", "'{\"age\", NULL}'" ],
	'oid' => [ qw(NULL 0 1 4294967295 1259), "'m_mlp'::regclass::oid" ],
	'internal' => ['NULL']);

my @json_values = ('null', 'true', 'false', '0', '-1', '1', '2', '3', '1.5', '0.5', '1e300', '-1e-300', '1e999', '2147483648', '9223372036854775808', '99999999999999999999999999', '""', '"x"', '"age"', '"sick"', '"patient"', '"auto"', '"linear"', '"mlp"', '"error"', '"skip"', '"off"', '"pgd"', '"m_mlp"', '"m_tagger"', '"patients"',
	'"1"', '"NaN"', '[]', '{}', '[[]]', '[0]', '[null]', '{"x": 1}', '{"age": "ignore"}', '{"age": null}', '{"age": {"kind": "image"}}', '{"scan": {"kind": "signal", "length": 4}}', '{"wave": {"window": 3, "stride": 9}}', '{"note": {"kind": "text", "pieces": 16}}', '{"sex": {"kind": "text", "vocabulary": "[UNK]\na\na"}}', '{"age": {"low": 5, "high": 1}}',
	'{"age": {"immutable": 1, "step": -1}}', '{"wave": {"rate": 1e-6, "to_rate": 1e9}}', '{"image": {"height": 65536, "width": 65536}}', '{"image": {"height": 1, "width": 1, "crop": 1}}', '"\u0001"', '"\ud83d\ude00"', '"' . 'x' x 3000 . '"', '[' x 300 . ']' x 300, '{"a":' x 200 . '1' . '}' x 200, '[' . join(',', (1) x 3000) . ']', '{"a": [' x 800 . ']}' x 800);

my @bytes = ('NULL', "''", "'\\x00'", "'\\xffffffffffffffff'", "'\\x0800000000000000'", "'\\x0100000000000000'", "'\\x02000000000000007b7d'", "decode(repeat('00', 5000), 'hex')", "decode(repeat('ff', 300), 'hex')", "decode(md5('a') || md5('b') || md5('c'), 'hex')",
	"convert_to(repeat('[', 100000), 'UTF8')", "'\\x89504e470d0a1a0a'", "'\\xffd8ffe0'", "decode(repeat('00', 128) || '4449434d', 'hex')");

my (@callables, @option_names, %columns, @files, %paths);
my $depth = 0;

sub one_of { return $_[ int rand @_ ]; }
sub chance { return rand() < $_[0]; }
sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }

# ---- what there is ----

# Makes what odd_calls.sql makes in this database and reads what there is to call. Call it in the root of the tree.
sub prepare_odd_calls
{
	my ($node, $folder) = @_;

	$node->psql('postgres', "\\i test/data/xrays.sql\n\\i $folder/odd_calls.sql", on_error_die => 1);
	my $files = '';
	for my $path (glob('test/fuzz/corpus/image/* test/fuzz/corpus/safetensors/*'))
	{
		my ($name) = $path =~ m{([^/]+/[^/]+)$};
		$files .= "INSERT INTO files VALUES (" . quoted($name) . ", decode('" . unpack('H*', PostgreSQL::Test::Utils::slurp_file($path)) . "', 'hex'));\n" if -s $path < 200_000;
	}
	$node->safe_psql('postgres', $files);
	@files = split /\n/, $node->safe_psql('postgres', 'SELECT name FROM files ORDER BY 1');

	my $page = PostgreSQL::Test::Utils::slurp_file('docs/options.md');
	my %names;
	for my $row (grep { /^\|/ } split /\n/, $page)
	{
		my @cells = split /\|/, $row;
		$names{$_} = 1 for map { /`([\w.]+)`/g } grep { defined } @cells[1, 2];
	}
	@option_names = sort keys %names;

	for (split /\n/, $node->safe_psql('postgres', <<'END'))
SELECT p.oid::regproc, p.prokind, p.pronargs - p.pronargdefaults, p.proretset, p.provolatile = 'v', coalesce(array_to_string(p.proargnames[1:p.pronargs], ','), ''),
	(SELECT string_agg(format_type(t, NULL), ',' ORDER BY n) FROM unnest(p.proargtypes) WITH ORDINALITY u (t, n)), p.provariadic <> 0
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'idla'
WHERE NOT 'internal'::regtype = ANY (p.proargtypes)
ORDER BY p.proname, p.proargtypes::text
END
	{
		my ($name, $kind, $required, $set, $volatile, $names, $types, $variadic) = split /\|/, $_, -1;
		push @callables, { name => $name, kind => $kind, required => $required, set => $set eq 't', volatile => $volatile eq 't', names => [ split /,/, $names, -1 ], types => [ split /,/, $types ],
			variadic => $variadic eq 't' };
	}
	for (split /\n/, $node->safe_psql('postgres', <<'END'))
SELECT '(' || o.oid::regoperator::text || ')', o.oprname, o.oprleft::regtype, o.oprright::regtype FROM pg_operator o JOIN pg_depend d ON d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'idla' ORDER BY 1
END
	{
		my (undef, $name, $left, $right) = split /\|/;
		push @callables, { name => $name, kind => 'o', required => 2, set => 0, volatile => 0, names => [], types => [ $left, $right ], variadic => 0 };
	}
	for (split /\n/, $node->safe_psql('postgres', "SELECT c.relname, string_agg(a.attname || ':' || format_type(a.atttypid, NULL), ',' ORDER BY attnum) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE c.relname = ANY ('{patients,pictures,notes,events,pairs,xrays}') AND c.relnamespace = 'public'::regnamespace AND attnum > 0 GROUP BY 1"))
	{
		my ($table, $list) = split /\|/;
		$columns{$table} = [ map { [ split /:/ ] } split /,/, $list ];
	}
	for my $model (@models)
	{
		my $manifest = JSON::PP->new->utf8->decode($node->safe_psql('postgres', "SELECT manifest FROM $model WHERE chunk = 0 ORDER BY version LIMIT 1"));
		$paths{$model} = [ paths_of($manifest, '') ];
	}
	return scalar @callables;
}

# Every path to a value, at most four elements of an array.
sub paths_of
{
	my ($value, @path) = @_;
	my ($start) = @path;
	my @made;

	if (ref $value eq 'HASH')
	{
		for my $key (sort keys %$value)
		{
			my $quoted = $key =~ /^\w+$/ ? $key : '"' . ($key =~ s/(["\\])/\\$1/gr) . '"';
			push @made, "$start$quoted", paths_of($value->{$key}, "$start$quoted,");
		}
	}
	elsif (ref $value eq 'ARRAY')
	{
		for my $at (0 .. ($#$value < 3 ? $#$value : 3))
		{
			push @made, "$start$at", paths_of($value->[$at], "$start$at,");
		}
	}
	return @made;
}

# ---- arguments ----

sub text
{
	return 'NULL' if chance(0.07);
	return one_of(@huge) if chance(0.05);
	# No character of UTF-8, but of other encodings.
	return "E'\\xe9\\xff a'" if chance(0.01);
	return quoted(one_of(@words));
}

sub document
{
	my ($level) = @_;

	return 'null' if chance(0.02);
	my @keys = map { chance(0.85) ? one_of(@option_names) : one_of('', 'nosuch', 'epoch', 'Epochs', 'x' x 100, 'age', 'sex') } 1 .. 1 + int rand 3;
	my @parts;
	for my $key (@keys)
	{
		my ($outer, $inner) = $key =~ /^(\w+)\.(\w+)$/;
		my $value = !$level && chance(0.1) ? document(1) : one_of(@json_values);
		push @parts, defined $inner ? "\"$outer\": {\"$inner\": $value}" : "\"$key\": $value";
	}
	return '{' . join(', ', @parts) . '}';
}

sub json
{
	return 'NULL' if chance(0.05);
	return quoted(one_of(@json_values)) . '::jsonb' if chance(0.15);
	my $made = document(0);
	# Networks that are large for no reason, and trainings without end, would only fill the time.
	$made =~ s/^\{/{"epochs": 1, "width": 4, / if chance(0.7);
	return quoted($made) . '::jsonb';
}

# What an aggregate has gathered, as bytes, or what nearly is such.
sub state_bytes
{
	my @adding = grep { ($_->{names}[0] // '') eq 'state' && $_->{name} =~ /_add$/ } @callables;
	my $state = 'NULL';

	for (1 .. 1 + int rand 3)
	{
		my $add = one_of(@adding);
		my @types = @{ $add->{types} };
		my @given = map { /bool/ ? one_of('true', 'false') : /int/ ? one_of('10', '3') : /any/ ? one_of("'a'::text", "'b'::text") : one_of('0.5', '0.9', '0.1') . '::float8' } @types[1 .. $#types];
		$state = "$add->{name}(" . ($state eq 'NULL' || chance(0.2) ? 'NULL' : $state =~ /^\Q$add->{name}\E/ || chance(0.3) ? $state : 'NULL') . ', ' . join(', ', @given) . ')';
	}
	$state = sprintf('flipped(%s, %.4f, %d)', $state, rand, int rand 8) for 1 .. one_of(0, 1, 1, 2);
	$state = sprintf('cut(%s, %.3f)', $state, rand) if chance(0.1);
	$state = "($state || $state)" if chance(0.05);
	return $state;
}

# A file of another program's, imported by a mapping in which something is changed, and asked.
sub importing
{
	my $mapping = q{{"task": "binary", "target": "sick", "classes": ["false", "true"], "architecture": "linear", "columns": [{"name": "age", "scaling": "standard", "center": 50, "scale": 0.1},
		{"name": "pressure", "scaling": "robust", "center": 40, "scale": 0.05, "fill": 30, "indicator": true}, {"name": "sex", "categories": ["f", "m"]}], "tensors": {"head.weights": "fc.weight", "head.bias": "fc.bias"}, "temperature": 2, "offset": 0.125}};
	my @paths = paths_of(JSON::PP->new->decode($mapping), '');
	my $document = quoted($mapping =~ s/\s+/ /gr) . '::jsonb';

	for (1 .. one_of(0, 1, 1, 2))
	{
		my $path = quoted('{' . one_of(@paths, 'width', 'depth', 'target_mean', 'embedding', 'members', 'activation') . '}');
		$document = one_of("jsonb_set($document, $path, " . quoted(one_of(@json_values)) . ')', "($document #- $path)", "jsonb_set($document, $path, coalesce($document #> " . quoted('{' . one_of(@paths) . '}') . ", 'null'))");
	}
	my $header = '{"fc.weight": {"dtype": "F32", "shape": [1, 5], "data_offsets": [0, 20]}, "fc.bias": {"dtype": "F32", "shape": [1], "data_offsets": [20, 24]}}';
	my ($from, $to) = @{ one_of([ '', '' ], [ '', '' ], [ 'F32', 'F16' ], [ 'F32', 'BF16' ], [ 'F32', 'F64' ], [ 'F32', 'I8' ], [ '1, 5', '5, 1' ], [ '1, 5', '5' ], [ '1, 5', '1, 5, 0' ], [ '1, 5', '4294967296, 4294967296' ], [ '0, 20', '20, 0' ], [ '20, 24', '0, 4' ], [ '24', '18446744073709551616' ], [ '24', '-4' ], [ 'fc.bias', 'fc.weight' ], [ '{', '[' ], [ '"F32"', '1' ]) };
	$header =~ s/\Q$from\E/$to/ if length $from;
	my $bytes = pack('Q<', length $header) . $header . pack('f<6', 1, -1, one_of(0.5, 'inf', 'nan', 1e38), 2, 3, 4);
	substr($bytes, int rand length $bytes, 1) = chr int rand 256 if chance(0.1);
	return "SELECT idla_import('odd_given', '\\x" . unpack('H*', $bytes) . "'::bytea, $document); SELECT idla_predict('odd_given', r) FROM (SELECT age, sex, pressure FROM patients) r LIMIT 3; SELECT * FROM idla_explain('odd_given', (SELECT r FROM patients r LIMIT 1)); SELECT idla_evaluate('odd_given', 'patients')";
}

sub bytes
{
	my ($name) = @_;
	my $file = '(SELECT file FROM files WHERE name = ' . quoted($name // one_of(@files)) . ')';

	return one_of(@bytes) if chance(0.2);
	return "idla_metric_combine(NULL, idla_auroc_add(NULL, 0.5, true))" if chance(0.05);
	return $file if chance(0.2);
	$file = sprintf('flipped(%s, %.4f, %d)', $file, rand() ** 3, int rand 8) for 1 .. int rand 3;
	$file = sprintf('cut(%s, %.4f)', $file, rand) if chance(0.3);
	$file = sprintf('(%s || %s)', $file, $file) if chance(0.1);
	return sprintf('flipped(%s, %.4f, %d)', $file, rand() ** 4, int rand 8);
}

# A value of a column of that type, or of another.
sub column_value
{
	my ($name, $type) = @_;
	my $to = one_of('text', 'float8', 'numeric', 'bytea', 'jsonb', 'int', 'text[]', 'float4[]', 'money', 'uuid', 'xml', 'bit', 'point', 'oid', 'name', 'bool', 'date', 'grade', 'o_type', 'patients', 'positive_int', 'timestamptz', 'interval', 'float8[]', 'numrange', 'inet');

	return "NULL::$to" if chance(0.15);
	return "NULL::$type" if chance(0.25);
	if ($type =~ /\[\]$/ || chance(0.1))
	{
		my $of = $type =~ /text/ ? 'text[]' : one_of('float4[]', 'float4[]', 'float8[]', 'int[]', 'numeric[]');
		return quoted(one_of('{}', '{NULL}', '{1}', '{1,2}', '{1,NULL}', '{{1,2},{3,4}}', '[5:6]={1,2}', '[-1:0][7:8]={{1,2},{3,4}}', '{{{1,2},{3,4}},{{5,6},{7,8}}}', '{{{{{{1}}}}}}', '{NULL,NULL,NULL}')) . "::$of" if chance(0.6);
		return "array_fill(1, ARRAY[" . join(', ', map { 1 + int rand 40 } 1 .. 1 + int rand 4) . "])::$of" if chance(0.8);
		return "array_fill(NULL::int, ARRAY[2000])::$of";
	}
	return one_of("'NaN'", "'infinity'", "'-infinity'", '1e300', '-1', '0', '5e-324') . '::float8' if chance(0.2);
	return one_of("'NaN'", "1e1000", "-1e1000", "1e-1000", "'infinity'", '0') . '::numeric' if $type =~ /numeric|double|int/;
	return one_of("'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-01-01'") . '::date' if $type eq 'date';
	return one_of("'infinity'", "'-infinity'", "'294276-01-01'") . '::timestamptz' if $type =~ /timestamp/;
	return one_of("'178000000 years'", "'-1 month'", "'2147483647 days'") . '::interval' if $type eq 'interval';
	return bytes() if $type eq 'bytea';
	return text() . '::' . one_of('text', 'varchar', 'name', 'char(5)') if $type eq 'text';
	return one_of("true", "NULL::bool", "1::int", "'t'::text");
}

# FROM, and the row in it under the name r; $table: of the model that is asked, or undef
sub row_source
{
	my ($table) = @_;

	$table = one_of(sort keys %columns) if !$table || chance(0.05);
	return "$table r" if chance(0.4);
	return one_of('o_dropped r', 'o_nested r', 'o_none r', '(SELECT) r', '(SELECT NULL::patients AS r) x', '(SELECT NULL::record AS r) x', '(SELECT ROW(1, 2) AS r) x', "(VALUES (1, 'f'), (NULL, 'm')) r (age, sex)", '(SELECT p::o_patient AS r FROM patients p) x',
		'patients p LEFT JOIN patients r ON r.id = p.id + 100', '(SELECT CASE WHEN id % 2 = 0 THEN p END AS r FROM patients p) x', '(SELECT * FROM patients UNION ALL SELECT * FROM patients) r', 'jsonb_populate_recordset(NULL::patients, \'[{"age": 5}, null, {"age": null, "sex": "f"}]\') r',
		'pg_class r', 'm_mlp r', 'generate_series(1, 3) r', '(SELECT 1 AS age, 2 AS age, \'f\'::text AS sex) r', "json_to_recordset('[{\"age\": 1}]') r (age int, sex text, pressure numeric)", '(SELECT ROW(age, sex, pressure)::o_type AS r FROM patients) x', '(SELECT DISTINCT r FROM patients r) x') if chance(0.08);
	return '(' . changed_select($table) . ') r';
}

# The table's rows with other values in some columns, in some rows or all.
sub changed_select
{
	my ($table) = @_;
	my $often = one_of(0.03, 0.15, 0.4);
	my @targets;

	for my $column (@{ $columns{$table} })
	{
		my ($name, $type) = @$column;
		next if chance(0.01);
		if (!chance($often))
		{
			push @targets, "s.\"$name\"";
			next;
		}
		my $value = column_value(@$column);
		my $key = $columns{$table}[0][0];
		my ($to) = $value =~ /::([\w\[\]]+)$/;
		$value = "CASE WHEN s.$key % " . one_of(2, 7, 50) . " = 1 THEN $value ELSE s.\"$name\" END" if $to && chance(0.5) && ($to eq $type || "$to $type" =~ /^(?:float4|float8|int|numeric) (?:double precision|real|integer|numeric)$|^float[48]\[\] real\[\]$/);
		push @targets, "$value AS \"$name\"";
		push @targets, "1 AS \"$name\"" if chance(0.003);
	}
	@targets = reverse @targets if chance(0.1);
	return 'SELECT ' . join(', ', @targets) . " FROM $table s" . one_of('', '', '', ' OFFSET 0', ' LIMIT 3', ' LIMIT 40', ' ORDER BY 1 DESC', ' WHERE false');
}

sub any_value
{
	my ($n) = @_;
	return one_of('NULL', "'x'", "'x'::text", '1', '1.5', 'true', "'NaN'::float8", "'{1,2}'::float4[]", "'{}'::text[]", "'low'::grade", 'ROW(1, 2)', 'NULL::patients', "'{}'::jsonb", "'\\x00'::bytea", "'2020-01-01'::date", 'NULL::int', '5::positive_int', "'a'::xml", "'1 day'::interval", "'(1,2)'::point");
}

sub wrong_class
{
	my $other = chance(0.5) ? one_of(@strangers) : '"Odd.Name"."m ""quoted"" é"';
	return one_of('NULL', '0::oid::regclass', '4294967295::oid::regclass', "'nosuch'::regclass", '1::oid::regclass', "(SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'm_mlp')", "(SELECT min(inhrelid)::oid::regclass FROM pg_inherits WHERE inhparent = 'idla_prediction_log'::regclass)", 'n.m') if chance(0.25);
	return quoted($other) . '::regclass';
}

# An argument that fits where it can, for the model.
sub argument
{
	my ($name, $type, $model, $fits) = @_;
	my ($table, $source, @outputs) = @{ $models{$model} };

	if ($type eq 'regclass')
	{
		return quoted($model) . '::regclass' if $fits;
		return chance(0.4) ? quoted(one_of(@models)) . '::regclass' : wrong_class();
	}
	if ($type eq 'record' || $type eq 'anyelement')
	{
		return 'r' if $fits || chance(0.6);
		return any_value();
	}
	return 'r.' . one_of(@{ $columns{$table} })->[0] if $type =~ /^(any|"any"|anycompatible)$/ && chance(0.3);
	return any_value() if $type =~ /^(any|"any"|anycompatible)$/;
	if ($fits)
	{
		return one_of('1', '1', 'NULL') if $name eq 'version';
		return @outputs ? quoted(one_of(@outputs)) : 'NULL' if $name eq 'output';
		return quoted(chance(0.5) ? $source : changed_select($table)) if $name eq 'source';
		return quoted('Case 7 had asthma and took heparin.') if $name eq 'input' && $type eq 'text';
		return "ARRAY['Case', '7', 'had', 'asthma', '.']" if $name eq 'tokens';
		return "'{\"epochs\": 1, \"width\": 4}'::jsonb" if $name eq 'options';
		return quoted('new_' . int rand 5) if $name eq 'name';
		return "(SELECT to_jsonb(r) FROM $table r LIMIT 1)" if $name eq 'document';
		return '0.8' if $name =~ /coverage|share|strength|probability|score|at|epsilon/ && $type eq 'double precision';
		return "'{" . join(',', map { $_->[0] } @{ $columns{$table} }) . "}'" if $name eq 'names';
		return quoted(one_of('sick', 'stay', 'risk')) if $name eq 'target';
		return bytes('m_mlp.safetensors') if $name eq 'file';
		return one_of('3', 'NULL') if $type eq 'integer';
	}
	return chance(0.3) ? quoted($source) : quoted(one_of(@sources)) if $name eq 'source';
	return text() if $type eq 'text';
	if ($type eq 'jsonb')
	{
		return '(SELECT to_jsonb(r) || ' . quoted('{' . join(', ', map { '"' . one_of(@{ $columns{$table} })->[0] . '": ' . one_of(@json_values) } 1 .. 2) . '}') . "::jsonb FROM $table r LIMIT 1)" if $name eq 'document' && chance(0.8);
		return json();
	}
	return $name =~ /^(state|other)$/ && chance(0.8) ? state_bytes() : bytes() if $type eq 'bytea';
	return one_of(@{ $pool{$type} }) if $pool{$type};
	return "NULL::$type";
}

# ---- calls ----

# The call, what it is FROM, and whether it returns rows.
sub call
{
	my ($callable, $model) = @_;
	my $fits = one_of(0.4, 0.8, 0.95);
	my @types = @{ $callable->{types} };
	my @names = @{ $callable->{names} };
	my @arguments;
	my $named = 0;

	for my $at (0 .. $#types)
	{
		my ($name, $type) = ($names[$at] // '', $types[$at]);
		if ($callable->{variadic} && $at == $#types)
		{
			my @given = map { chance(0.05) ? any_value() : "r.\"$_->[0]\"" } @{ $columns{ $models{$model}[0] } };
			push @given, any_value() if chance(0.05);
			push @arguments, chance(0.9) ? @given : chance(0.5) ? 'VARIADIC ' . one_of('NULL::text[]', "'{}'::int[]", "'{1,2}'::float8[]", "'{{1},{2}}'::float8[]", '5') : map { any_value() } 1 .. 1 + int rand 12;
			last;
		}
		if ($at >= $callable->{required})
		{
			if (chance(0.6))
			{
				$named = 1;
				next;
			}
		}
		my $value = argument($name, $type, $model, chance($fits));
		$value .= "::$type" if $type !~ /^any|"any"|record|internal/ && chance(0.8) && $value !~ /^r\b/;
		push @arguments, $named ? "\"$name\" => $value" : $value;
	}
	return "$arguments[0] OPERATOR(public.$callable->{name}) $arguments[1]" if $callable->{kind} eq 'o';
	my $made = "$callable->{name}(" . join(', ', @arguments) . ')';
	$made =~ s/^(\w+)\(/$1(DISTINCT / if $callable->{kind} eq 'a' && chance(0.03);
	return $made;
}

# Targets of the tables, with what options each needs.
my %targets = (
	patients => [ [ 'sick', '' ], [ 'risk', '' ], [ 'stay', '' ], [ 'stay,days', '' ], [ 'sick,tired', '' ], [ 'days,died', '"task": "survival"' ], [ 'days', '"time": "days", "event": "died"' ], [ 'grade', '' ], [ 'age', '' ], [ 'pressure', '"group_by": "sex"' ], [ 'sick', '"order_by": "admitted"' ], [ 'admitted', '' ], [ 'values', '' ] ],
	pictures => [ [ 'sick', '' ], [ 'age', '' ], [ 'sick,age', '' ], [ 'wave', '' ] ],
	xrays => [ [ 'pneumonia', '"part": "part"' ], [ 'pneumonia', '"columns": {"image": {"height": 8, "width": 8}}' ], [ 'image', '' ] ],
	notes => [ [ 'ill', '' ], [ 'tags', '"columns": {"note": "ignore"}' ], [ 'tags', '' ], [ 'id', '"columns": {"note": {"kind": "text", "pieces": 40}}' ] ],
	events => [ [ 'died', '"entity": "patient", "time": "hour", "label_at": "decision"' ], [ 'died', '"entity": "patient", "time": "hour"' ], [ 'age', '"entity": "patient", "time": "hour", "series": {"bins": 3}' ] ],
	pairs => [ [ 'died', '"entity": "patient", "time": "hour", "series": {"name": "what", "value": "value", "bins": 3}' ], [ 'value', '"entity": "patient", "time": "hour"' ] ]);

# A training of a few rows in which little is wrong.
sub training
{
	my $table = one_of(sort keys %targets);
	my ($target, $options) = @{ one_of(@{ $targets{$table} }) };
	my $task = $options =~ s/"task": "(\w+)"// ? quoted($1) : chance(0.1) ? text() : 'NULL';
	my $architecture = chance(0.5) ? "'auto'" : chance(0.1) ? text()
		: quoted(one_of(qw(linear mlp resnet tabm nam cnn resnet20 fcn lstm gru rocket bag transformer bilstm_crf), 'conv(2) global_mean', 'dense(4) relu dropout(0.5)', 'flatten join dense(2)', 'bigru(2) last', 'attention(1) global_max', 'mirror global_mean', 'learned_positions lstm(2) crf'));
	my @more = map { s/^\{(.*)\}$/$1/sr } grep { /^\{/ } map { document(0) } 1 .. one_of(0, 1, 1, 2);
	my $document = '{' . join(', ', '"epochs": ' . one_of(1, 1, 2), '"seed": 1', one_of('"folds": 1', '"width": 8'), grep { length } $options, @more) . '}';
	my $source = chance(0.3) ? $table : changed_select($table);
	return 'SELECT * FROM idla_augment_preview(' . quoted($source) . ', ' . quoted($document) . '::jsonb, 2, ' . one_of('NULL', quoted($target)) . ', '
		. one_of($task, $task, map { quoted($_) } qw(binary multiclass multilabel regression survival tagging)) . ')' if chance(0.15);
	$task = quoted(one_of(qw(binary multiclass multilabel regression survival tagging))) if chance(0.1);
	return "SELECT * FROM idla_train('" . one_of('new', 'm_mlp') . "', " . quoted($source) . ', ' . quoted($target) . ", $task, $architecture, " . quoted($document) . '::jsonb)';
}

# One model, or what becomes of it, through things that happen to models, with questions between; its name, version and place change.
sub story
{
	my $like = one_of(@models);
	my $table = $models{$like}[0];
	# Most stories are undone; some are of a model of their own, and stay until the next begins.
	my $stays = chance(0.3);
	my $model = $stays ? 'odd_story' : $like;
	my $question = sub { my $call = one_of("idla_predict('$model', r)", "idla_predict('$model', r, version => 1)", "idla_classify('$model', r)", "idla_embed('$model', r)", "idla_predict_series('$model', r)", "idla_predict_series('$model'::regclass, r, 'true'::text, 1)", "idla_predict_json('$model', to_jsonb(r))");
		return "SELECT " . ($call =~ /_series/ ? $call : "count($call)") . " FROM $table r" };
	my @made = ('BEGIN', "PREPARE asked AS " . $question->());

	for (1 .. 3 + int rand 8)
	{
		push @made, one_of($question, $question, sub { 'EXECUTE asked' }, sub { 'EXECUTE asked' },
			sub { 'SAVEPOINT s' . int rand 3 }, sub { 'ROLLBACK TO s' . int rand 3 }, sub { 'RELEASE s' . int rand 3 },
			sub { "SELECT idla_deploy('$model', " . one_of('NULL', 1, 2) . ')' }, sub { "SELECT idla_deploy('$model', 2, " . one_of('share => 0.5', 'shadow => true') . ')' },
			sub { "SELECT idla_copy('$model', 'odd_copy', 1)" }, sub { "SELECT idla_copy('$model', '$model', 1, " . one_of('true', 'false') . ')' },
			sub { "SELECT idla_import('$model', idla_export('$model'))" }, sub { "SELECT idla_log('$model', " . one_of('1', 'NULL', '0.5') . ", 'id')" }, sub { 'SELECT idla_log_flush()' },
			sub { "SELECT idla_deploy('$model', 1, weights => '" . one_of('int8', 'bfloat16') . "', source => " . quoted($models{$model}[1]) . ')' },
			sub { "ALTER TABLE $model RENAME TO odd_name" }, sub { "ALTER TABLE odd_name RENAME TO $model" }, sub { "ALTER TABLE $model SET SCHEMA hostile" }, sub { "DROP TABLE $model" }, sub { "TRUNCATE $model" },
			sub { "ALTER TABLE $table ADD COLUMN later int" }, sub { "ALTER TABLE $table DROP COLUMN " . one_of(@{ $columns{$table} })->[0] }, sub { my $c = one_of(@{ $columns{$table} })->[0]; "ALTER TABLE $table ALTER $c TYPE text USING NULL" },
			sub { "CLUSTER $model USING ${model}_pkey" }, sub { "LOCK TABLE $model" }, sub { "SELECT idla_evict('$model')" }, sub { 'SELECT idla_evict()' }, sub { "SELECT idla_prewarm('$model')" }, sub { 'SELECT count(*) FROM idla_cache' },
			sub { 'SELECT idla_stat_reset()' }, sub { 'SELECT count(*) FROM idla_stat_models' }, sub { "SET LOCAL idla.model_cache = '64kB'" }, sub { 'SET LOCAL idla.share_from = ' . one_of("'1kB'", "'4MB'") }, sub { 'DISCARD PLANS' },
			sub { "DECLARE c" . int(rand 9) . " CURSOR FOR SELECT " . one_of("idla_predict('$model', r)", "idla_embed('$model', r)") . " FROM $table r" }, sub { 'FETCH 3 FROM c' . int rand 9 }, sub { 'FETCH 3 FROM c' . int rand 9 }, sub { changes($like, $model) })->();
	}
	return join('; ', @made) . '; ROLLBACK; DEALLOCATE ALL;' if !$stays;
	shift @made;
	return "DROP TABLE IF EXISTS odd_story; SELECT idla_copy('$like', 'odd_story', 1); " . join('; ', grep { !/TABLE $table|SET LOCAL|^DECLARE|^FETCH/ } @made) . '; DEALLOCATE ALL;';
}

sub query
{
	return training() if chance(0.15);
	my $callable = one_of(@callables);
	# What only the server calls, the few lines of metrics, and what takes long, less often.
	$callable = one_of(@callables) if $callable->{name} =~ /_list$|idla_series_|_add$|metric|support|distil|robust/ && chance(0.7);
	my $model = model_for($callable->{name});
	my $made = call($callable, $model);
	my $from = $made =~ /\br\b/ ? row_source($models{$model}[0]) : '';

	if ($callable->{kind} eq 'a')
	{
		my $one = $from || one_of('patients r', 'pictures r', 'events r');
		return "SELECT $made FROM $one" . one_of('', '', ' GROUP BY ' . ($one =~ /^(\w+) r$/ && $columns{$1} ? 'r.' . $columns{$1}[1][0] : '()'), ' WHERE false') if chance(0.8);
		return "SELECT $made " . one_of('FILTER (WHERE true) ', '') . 'OVER (' . one_of('', 'ROWS 2 PRECEDING') . ") FROM (SELECT * FROM $one LIMIT 20) w, LATERAL (SELECT w.*) r" if $one !~ /JOIN/;
		return "SELECT $made FROM $one";
	}
	return "SELECT $made" . one_of('', ' LIMIT 2') if $from eq '';
	if ($callable->{set})
	{
		return "SELECT x.* FROM $from, LATERAL $made x LIMIT " . one_of(1, 3, 20) if chance(0.8);
		return "SELECT $made FROM $from LIMIT 4";
	}
	my $few = $callable->{volatile} || $made =~ /explain|_json|attack/ ? ' LIMIT 2' : one_of('', '', ' LIMIT 1', ' LIMIT 40');
	return one_of(
		sub { "SELECT $made FROM $from$few" },
		sub { "SELECT $made FROM $from$few" },
		sub { "SELECT count(*) FROM (SELECT $made AS x FROM $from$few) y WHERE x IS NOT NULL" },
		sub { "SELECT 1 FROM $from WHERE ($made)::text < 'x'$few" },
		sub { "SELECT $made AS x FROM $from ORDER BY 1 DESC$few" },
		sub { "SELECT ($made)::text AS x, count(*) FROM $from GROUP BY 1$few" },
		sub { "SELECT CASE WHEN random() < 2 THEN $made END FROM $from$few" },
		sub { "SELECT (SELECT $made), k FROM $from, generate_series(1, 2) k$few" },
		sub { "SELECT max(($made)::text) FROM $from" })->();
}

# The models that a function is for, all for most; now and then any.
sub model_for
{
	my ($name) = @_;

	return one_of(@models) if chance(0.15);
	return one_of(qw(m_series m_pairs)) if $name =~ /series/;
	return 'm_tagger' if $name =~ /tag/;
	return 'm_survival' if $name =~ /survival/;
	return one_of(qw(m_nam m_two m_nam)) if $name =~ /interval/;
	return one_of(qw(m_scan m_xray)) if $name =~ /explain_image/;
	return one_of(qw(m_scan m_xray m_wave m_window m_rocket m_words m_note m_transformer)) if $name =~ /parts/;
	return one_of(qw(m_robust m_robust m_mlp m_scan m_wave m_labels m_tabm m_rocket m_words)) if $name =~ /attack|robust/;
	return one_of(grep { !/tagger|series|pairs/ } @models);
}

# A question in whose rows something is done to the model.
sub nasty_question
{
	my $callable;
	do { $callable = one_of(@callables) } until ($callable->{types}[0] // '') eq 'regclass' && $callable->{name} !~ /distil|robust|deploy/;
	my $model = model_for($callable->{name});
	my ($table, $source) = @{ $models{$model} };
	my $call = call($callable, $model);
	my $nasty = one_of('nasty', 'quietly_nasty') . '(' . int(rand 10) . ", '$model')";
	my $key = $columns{$table}[0][0];
	my $when = "CASE WHEN r.$key % " . one_of(2, 3, 17) . " = 1 THEN $nasty END";

	return "SELECT * FROM $callable->{name}('$model', " . quoted("SELECT *, CASE WHEN $key % 5 = 3 THEN $nasty END AS done FROM ($source) s") . ')' if ($callable->{names}[1] // '') eq 'source' && $source =~ /^SELECT/;
	return "SELECT * FROM $callable->{name}('$model', " . quoted("SELECT *, CASE WHEN $key % 5 = 3 THEN $nasty END AS done FROM $source") . ')' if ($callable->{names}[1] // '') eq 'source';
	return "SELECT $call, max($when) FROM $table r" . one_of('', " GROUP BY r.$key") if $callable->{kind} eq 'a';
	return "SELECT x, $when FROM $table r, LATERAL (SELECT $call AS x) y LIMIT 6" if $callable->{set} || $callable->{volatile} || $call =~ /explain/;
	return one_of("SELECT $call, $when FROM $table r", "SELECT $when, $call FROM $table r", "SELECT $call FROM (SELECT *, $when FROM $table r OFFSET 0) r", "SELECT $call FROM $table r WHERE coalesce($when, 0) < 2", "SELECT $call, ($call)::text, $when FROM $table r ORDER BY 2 LIMIT 30",
		"SELECT (SELECT $call), $nasty FROM $table r", "SELECT $call FROM $table r LEFT JOIN LATERAL (SELECT $when AS x) y ON true");
}

# One or more statements that are done and undone.
sub statements
{
	my $made = query();

	return one_of(
		sub { "BEGIN; $made; ROLLBACK;" },
		sub { "BEGIN; $made; ROLLBACK;" },
		sub { "BEGIN; $made; ROLLBACK;" },
		sub { 'BEGIN; ' . importing() . '; ROLLBACK;' },
		sub { 'BEGIN; ' . nasty_question() . '; ROLLBACK;' },
		sub { 'BEGIN; ' . nasty_question() . '; ROLLBACK;' },
		sub { 'BEGIN; DECLARE c CURSOR FOR ' . nasty_question() . "; FETCH 1 FROM c; SAVEPOINT s; FETCH 3 FROM c; ROLLBACK TO s; FETCH 20 FROM c; ROLLBACK;" },
		sub { 'BEGIN; SELECT count(*) FROM generate_series(1, 40), run_each(ARRAY[' . join(', ', map { quoted($_) } grep { !/train|distil|robust|importance|evaluate|explain|drift|report|preview/ } map { query() } 1 .. 12) . "]::text[]); ROLLBACK;" },
		sub { "BEGIN; EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) $made; ROLLBACK;" },
		sub { 'BEGIN; ' . join(' ', map { "SAVEPOINT s; " . query() . '; ROLLBACK TO s;' } 1 .. 6) . ' ROLLBACK;' },
		sub { 'BEGIN; SELECT * FROM run_each(ARRAY[' . join(', ', map { quoted(query()) } 1 .. 8) . ']); ROLLBACK;' },
		sub { "BEGIN READ ONLY; $made; ROLLBACK;" },
		sub { "BEGIN ISOLATION LEVEL SERIALIZABLE; $made; ROLLBACK;" },
		sub { 'BEGIN; SET LOCAL ROLE ' . one_of('odd_nobody', 'odd_owner') . "; $made; ROLLBACK;" },
		sub { $made =~ /[^=:]=[^>]|[%<]| > |\|\||sealed|flipped|cut|to_jsonb/ ? "BEGIN; $made; ROLLBACK;" : "BEGIN; SET LOCAL search_path = hostile, pg_catalog, public; $made; ROLLBACK;" },
		sub { my $there = $made =~ s/\b(idla_\w+)(?=\()/public.$1/gr; "BEGIN; SET LOCAL search_path = ''; $there; ROLLBACK;" },
		sub { "BEGIN; SELECT set_config(name, '" . one_of('on', 'regress') . "', true) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query'); SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; $made; ROLLBACK;" },
		sub { "BEGIN; SET LOCAL idla.batch_predict = off; $made; ROLLBACK;" },
		sub { 'BEGIN; SET LOCAL idla.batch_rows = ' . one_of(1, 2, 3, 65536) . "; SET LOCAL idla.on_bad_input = 'null'; $made; ROLLBACK;" },
		sub { 'BEGIN; SET LOCAL idla.model_cache = ' . one_of("'64kB'", "'1MB'") . "; $made; $made; ROLLBACK;" },
		sub { 'BEGIN; SET LOCAL statement_timeout = ' . one_of(1, 2, 5, 20) . "; $made; ROLLBACK;" },
		sub { 'BEGIN; SET LOCAL idla.train_memory = ' . one_of("'1MB'", "'64kB'") . "; SET LOCAL work_mem = '64kB'; $made; ROLLBACK;" },
		sub { "BEGIN; DECLARE c SCROLL CURSOR FOR $made; FETCH 2 FROM c; FETCH BACKWARD 2 FROM c; FETCH LAST FROM c; FETCH ABSOLUTE -1 FROM c; FETCH FIRST FROM c; CLOSE c; ROLLBACK;" },
		sub { "BEGIN; DECLARE c CURSOR FOR $made; FETCH 1 FROM c; SAVEPOINT s; FETCH 1 FROM c; SELECT 1 / 0; ROLLBACK TO s; FETCH 3 FROM c; ROLLBACK;" },
		sub { "BEGIN; PREPARE p AS $made; SET LOCAL plan_cache_mode = force_generic_plan; EXECUTE p; EXECUTE p; SAVEPOINT s; ALTER TABLE patients ADD COLUMN later int; EXECUTE p; ROLLBACK TO s; EXECUTE p; ROLLBACK; DEALLOCATE ALL;" },
		sub { "BEGIN; SET LOCAL odd.statement = " . quoted($made) . '; INSERT INTO o_fired VALUES (1), (2); ROLLBACK;' },
		sub { "BEGIN; CREATE TABLE o_new AS $made; ROLLBACK;" },
		sub { "BEGIN; CREATE MATERIALIZED VIEW o_new AS $made; REFRESH MATERIALIZED VIEW o_new; ROLLBACK;" },
		sub { "BEGIN; SET LOCAL log_min_messages = debug5; SET LOCAL client_min_messages = debug5; $made; ROLLBACK;" },
		sub { "COPY ($made) TO STDOUT;" },
		\&attack, \&attack, \&attack, \&attack, \&story, \&story, \&story)->();
}

# ---- models whose rows their owner has changed ----

# A change of the rows of a model, itself or one that has $like's manifest.
sub changes
{
	my ($like, $model) = (@_, @_);

	return one_of(
		"UPDATE $model SET weights = flipped(weights, " . rand() . ', ' . int(rand 8) . '), manifest = sealed(manifest, flipped(weights, 0, 0))',
		"UPDATE $model SET weights = cut(weights, " . rand() . ')', "UPDATE $model SET weights = NULL", "UPDATE $model SET weights = weights || weights", "UPDATE $model SET weights = '\\x'", "UPDATE $model SET version = version + 2147483640",
		"UPDATE $model SET version = -version", "UPDATE $model SET version = 0", "UPDATE $model SET in_service = NOT in_service", "DELETE FROM $model", "UPDATE $model SET card = NULL", "UPDATE $model SET card = '[]'",
		"UPDATE $model SET card = '{\"conformal\": 5, \"trial\": [1], \"log\": \"x\"}'", "INSERT INTO $model SELECT version, chunk + 1, in_service, card, NULL, weights FROM $model", "ALTER TABLE $model DROP COLUMN card", "ALTER TABLE $model DROP COLUMN weights", "ALTER TABLE $model RENAME COLUMN weights TO w",
		"ALTER TABLE $model ALTER version TYPE bigint", "ALTER TABLE $model ALTER manifest TYPE json", "ALTER TABLE $model ADD COLUMN more text DEFAULT 'x'", "ALTER TABLE $model DROP CONSTRAINT ${model}_pkey CASCADE", "ALTER TABLE $model DROP CONSTRAINT idla_model",
		"ALTER TABLE $model ENABLE ROW LEVEL SECURITY", "ALTER TABLE $model SET SCHEMA hostile; SET LOCAL search_path = hostile, public", "TRUNCATE $model", "CREATE RULE r AS ON INSERT TO $model DO INSTEAD NOTHING", "CREATE RULE r AS ON UPDATE TO $model DO INSTEAD NOTHING",
		"CREATE TRIGGER t BEFORE INSERT OR UPDATE ON $model FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", "UPDATE $model SET manifest = '{}'", "UPDATE $model SET manifest = sealed('{}', weights)", "UPDATE $model SET manifest = 'null'", "ALTER TABLE $model SET UNLOGGED",
		"SET LOCAL odd.statement = 'DROP TABLE $model'; CREATE TRIGGER t BEFORE INSERT ON $model FOR EACH ROW EXECUTE FUNCTION fire()", "SET LOCAL odd.statement = 'SELECT idla_evict()'; CREATE TRIGGER t AFTER INSERT OR UPDATE ON $model FOR EACH ROW EXECUTE FUNCTION fire()",
		"DROP TABLE $model", "CREATE INDEX ON $model ((1 / (version - 1)))", "UPDATE $model SET card = jsonb_set(card, '{" . one_of(qw(threshold abstain conformal trial log key share status deployments embedding inputs test)) . "}', '" . one_of(grep { !/'/ } @json_values) . "')") if chance(0.25);
	my $manifest = 'manifest';
	for (1 .. one_of(1, 1, 1, 2, 3))
	{
		my $path = quoted('{' . one_of(@{ $paths{$like} }) . '}');
		my $sum = one_of(1, -1, 1000000);
		$manifest = one_of(
			sub { "jsonb_set($manifest, $path, " . quoted(one_of(@json_values)) . ')' },
			sub { "jsonb_set($manifest, $path, " . quoted(one_of(@json_values)) . ')' },
			sub { "$manifest #- $path" },
			# Numbers that are near, and arrays that are longer or shorter.
			sub { "jsonb_set($manifest, $path, CASE jsonb_typeof($manifest #> $path) WHEN 'number' THEN to_jsonb(($manifest #>> $path)::numeric + $sum) WHEN 'array' THEN ($manifest #> $path) || ($manifest #> $path) WHEN 'string' THEN to_jsonb(($manifest #>> $path) || ' 1') ELSE '{}' END)" },
			sub { "jsonb_set($manifest, $path, CASE jsonb_typeof($manifest #> $path) WHEN 'number' THEN to_jsonb(-($manifest #>> $path)::numeric) WHEN 'array' THEN ($manifest #> $path) - 0 WHEN 'string' THEN to_jsonb(reverse($manifest #>> $path)) ELSE '[]' END)" },
			sub { "jsonb_set($manifest, $path, coalesce($manifest #> " . quoted('{' . one_of(@{ $paths{$like} }) . '}') . ", 'null'))" })->();
	}
	my $weights = chance(0.1) ? sprintf('flipped(weights, %.5f, %d)', rand, int rand 8) : chance(0.05) ? sprintf('cut(weights, %.3f)', rand) : 'weights';
	return "UPDATE $model SET weights = $weights, manifest = sealed($manifest, $weights) WHERE chunk = 0";
}

sub attack
{
	my $model = one_of(@models);
	my @made = ('BEGIN', 'SET LOCAL client_min_messages = error');
	push @made, "SELECT idla_prewarm('$model')" if chance(0.3);
	push @made, changes($model);
	push @made, changes($model) if chance(0.15);
	my @asked;
	for (1 .. 5)
	{
		my $callable;
		do { $callable = one_of(@callables) } until grep { $_ eq 'regclass' } @{ $callable->{types} };
		my ($table, $source, @outputs) = @{ $models{$model} };
		my $call = call($callable, $model);
		push @asked, $callable->{set} || $callable->{volatile} ? "SELECT x FROM $table r, LATERAL (SELECT $call AS x) y LIMIT 2" : "SELECT $call FROM (SELECT * FROM $table LIMIT 30) r";
	}
	push @asked, "SELECT idla_predict('$model', r) FROM $models{$model}[0] r LIMIT 3", 'SELECT count(*) FROM idla_models', 'SELECT count(*) FROM idla_versions', 'SELECT count(*) FROM idla_deployments', 'SELECT count(*) FROM idla_cache';
	# A model like the changed one, and files of it.
	push @asked, "SELECT idla_import('odd_again', idla_export('$model', version => 1))", "SELECT idla_copy('$model', 'odd_copy', 1)" if chance(0.3);
	push @made, 'SELECT * FROM run_each(ARRAY[' . join(', ', map { quoted($_) } @asked) . '])', 'ROLLBACK';
	return join('; ', @made) . ';';
}

# ---- running ----

# What a backend is left with: its memory in contexts of idla's, locks, threads, statements and cursors.
my $rest = q{SELECT 'rest', (SELECT coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts WHERE name LIKE 'idla%'), (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype IN ('advisory', 'object')), (SELECT count(*) FROM pg_ls_dir('/proc/self/task')), (SELECT count(*) FROM pg_prepared_statements) + (SELECT count(*) FROM pg_cursors WHERE name = 'c')};

# A session that runs the statements of one seed.
sub start_seed
{
	my ($node, $seed, $n) = @_;
	my %session = (seed => $seed, n => $n, out => '', err => '');

	srand $seed;
	my @made = map { statements() } 1 .. $n;
	my $script = '\set ON_ERROR_ROLLBACK ' . one_of('on', 'off') . "\n" . join(";\n", "SET statement_timeout = '4s'", "SET lock_timeout = '200ms'", 'SET client_min_messages = error', 'SET idla.progress = off',
		'SET idla.threads = 2', 'CREATE TEMP TABLE temporary AS SELECT * FROM m_mlp') . ";\n\\warn \@begin\n";

	for my $at (0 .. $#made)
	{
		$made[$at] =~ s/\n/\\n/g;
		$script .= "\\warn \@$at\n$made[$at]\n";
	}
	$session{script} = "$script\\warn \@end\nROLLBACK;\nRESET ALL;\nSELECT idla_evict() IS NOT NULL;\n$rest;\nSELECT 'alive';\n";
	$session{made} = \@made;
	$session{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', '-' ], '<', \$session{script}, '>', \$session{out}, '2>', \$session{err}, IPC::Run::timeout(300));
	return \%session;
}

# Its end: '', or what is wrong.
sub finish_seed
{
	my ($session, $counts) = @_;
	my ($seed, $n, @made) = ($session->{seed}, $session->{n}, @{ $session->{made} });

	eval { IPC::Run::finish($session->{run}); 1 } or do
	{
		$session->{run}->kill_kill;
		return "seed $seed did not end in 300 s: $session->{err}";
	};
	my ($out, $err) = @$session{qw(out err)};
	my $at = 'begin';
	my @bad;
	# What a subtransaction caught is told in the answers, with its statement: the whole is found by it.
	for (split /\n/, $err . "\n" . join("\n", map { s/^/  answer: /r } grep { /^[0-9A-Z]{5}: / } split /\n/, $out))
	{
		$at = $1 if /^\@(\w+)$/;
		next unless /(?:ERROR|FATAL|PANIC):  ([0-9A-Z]{5}): (.*)/ || /^  answer: ([0-9A-Z]{5}): (.*)/ || /(server closed)(.*)/;
		my ($state, $message) = ($1, $2);
		$counts->{$state}++;
		print { $OddCalls::log } "$state $message <- " . ($at =~ /^\d+$/ ? substr($made[$at], 0, 600) : $at) . "\n" if $OddCalls::log;
		# XX001, data corrupted, is right for a model that was changed.
		next if $state !~ /^XX|server|^P0001|^42883$/ || $state eq 'XX001';
		next if $state eq '42883' && $message !~ /hostile|operator/ || $state eq 'P0001' && $message !~ /hostile/;
		next if $state eq '42883';
		my ($caught) = $message =~ / <- (.*)/;
		my ($whole) = defined $caught ? grep { index($_, $caught =~ s/'/''/gr) >= 0 } @made : $at =~ /^\d+$/ ? $made[$at] : $at;
		push @bad, "seed $seed: $state: $message\n" . substr($whole // '', 0, 6000);
		last if $state =~ /server/;
	}
	$counts->{calls} += $n;
	return join "\n", @bad if @bad;
	return "seed $seed: the session did not live to its end\n" . substr($err, -2000) if $out !~ /^alive$/m;
	my ($memory, $locks, $threads, $open) = $out =~ /^rest\|(\d+)\|(\d+)\|(\d+)\|(\d+)$/m or return "seed $seed: what is left cannot be read";
	$counts->{memory} = $memory if $memory > ($counts->{memory} // 0);
	$counts->{threads} = $threads if $threads > ($counts->{threads} // 0);
	return "seed $seed: $memory bytes are left in contexts of idla's" if $memory > 400_000;
	return "seed $seed: $locks locks are left" if $locks;
	return "seed $seed: $open statements or cursors are left" if $open;
	return "seed $seed: $threads threads are left" if $threads > 1 + 2;
	return '';
}

# Seeds from $seed on, so many statements in each session and sessions at once, for so many seconds or seeds. Three tests.
sub run_odd_calls
{
	my ($node, $seed, $per_session, $seconds, $at_once, $seeds) = @_;
	my $end = time + $seconds;
	my %counts;
	my @bad;
	my $n = 0;

	note "seeds from $seed on";
	while (time < $end && (!$seeds || $n < $seeds) && @bad < 20)
	{
		my @sessions = map { start_seed($node, $seed + $n++, $per_session) } 1 .. $at_once;
		my @wrong = grep { $_ ne '' } map { finish_seed($_, \%counts) } @sessions;
		next if !@wrong;
		push @bad, @wrong;
		diag $_ for @wrong;
		# A server that is starting again says nothing of others.
		for (1 .. 100)
		{
			last if $node->psql('postgres', 'SELECT 1') == 0;
			Time::HiRes::sleep(0.1);
		}
	}
	note join ', ', map { "$_: $counts{$_}" } sort keys %counts;
	is(scalar @bad, 0, "$n sessions with odd calls: the server lives, no internal error, nothing is left");
	my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
	my @complaints = grep { /leak|TRAP|PANIC|terminated by signal|still referenced|not closed|runtime error|AddressSanitizer|WARNING:.*(?:snapshot|buffer|relcache|lock|problem in alloc)/i } grep { !/STATEMENT|QUERY|CONTEXT|data leakage|statement:|DETAIL/ } split /\n/, $log;
	is(scalar @complaints, 0, "nothing leaks, by the server's log") or diag(join "\n", @complaints[0 .. ($#complaints < 9 ? $#complaints : 9)]);
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_ls_dir('base') d, LATERAL pg_ls_dir('base/' || d) f WHERE d = 'pgsql_tmp'"), '0', 'no temporary file is left');
	return;
}

1;
