# 006_failures.pl: test/t/009_failures.pl with memory running out at every place, not at every fourth.
use strict;
use warnings;
use lib 'test/t';

$ENV{IDLA_ALL_PLACES} = 1;
do './test/t/009_failures.pl' or die $@ || $!;
