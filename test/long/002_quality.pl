# 002_quality.pl: every architecture learns the shipped tables, over several splits, with no options but the seed.
#
# The bars are low enough for any split of small data and high enough that a net that learns nothing, or the
# wrong thing, misses them; docs/benchmarks.md has the comparison with peers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('quality');
$node->init;
$node->append_conf('postgresql.conf', "idla.progress = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION idla');
$node->safe_psql('postgres', "\\i test/data/$_.sql") for qw(heart wdbc heart_failure);

# [table, target, task, options, metric, lowest mean over the seeds]
my @jobs = (
	[ 'heart', 'disease', undef, '"columns": {"patient": "ignore"}', 'auroc', 0.84 ],
	[ 'wdbc', 'diagnosis', undef, '"columns": {"sample": "ignore"}', 'auroc', 0.975 ],
	[ 'heart_failure', undef, 'survival',
		'"columns": {"patient": "ignore"}, "time": "follow_up_days", "event": "died"', 'concordance', 0.6 ],
);
for my $architecture (qw(linear mlp resnet tabm nam auto))
{
	for my $job (@jobs)
	{
		my ($table, $target, $task, $options, $metric, $bar) = @$job;
		my $sum = 0;
		for my $seed (1 .. 3)
		{
			my $arguments = join ', ', "'$table'", map { defined $_ ? "'$_'" : 'NULL' } $target, $task, $architecture;
			my $row = $node->safe_psql('postgres', "SET client_min_messages = warning;
				SELECT metric, value FROM idla_train('m_${table}_$architecture', $arguments, '{\"seed\": $seed, $options}')");
			my ($name, $value) = split /\|/, $row;
			is($name, $metric, "$architecture on $table is judged by $metric") if $seed == 1;
			$sum += $value;
		}
		cmp_ok($sum / 3, '>=', $bar, "$architecture on $table: mean $metric of three splits");
	}
}
$node->stop;
done_testing();
