# 006_failures.pl: test/t/009_failures.pl with memory running out at every place, not at every fourth.
use strict;
use warnings;

$ENV{IDLA_ALL_PLACES} = 1;
exec $^X, (map { "-I$_" } @INC, 'test/t'), 'test/t/009_failures.pl' or die "006_failures: $!\n";
