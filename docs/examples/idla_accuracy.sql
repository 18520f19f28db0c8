SELECT idla_accuracy(said, was) FROM (VALUES ('home', 'home'), ('ward', 'icu'), ('icu', 'icu'), ('home', 'home')) AS t (said, was);
