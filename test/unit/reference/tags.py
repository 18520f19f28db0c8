"""Writes tags.h: random tag sequences and what seqeval and scikit-learn say about them, for test_tags.c.

    python tags.py > tags.h        (seqeval 1.2.2, scikit-learn)

Values of a case: for each of four levels (tokens, tokens without O, entities, strict entities) precision, recall, F1 and support of
every class and then of the micro, macro and weighted average; last the accuracy over all tokens.
"""
import random
import warnings

from seqeval.metrics.sequence_labeling import precision_recall_fscore_support as lenient
from seqeval.metrics.v1 import precision_recall_fscore_support as strict
from seqeval.scheme import IOB2, IOBES
from sklearn.metrics import accuracy_score, precision_recall_fscore_support as flat

warnings.filterwarnings("ignore")
R = random.Random(20261126)


def name(code, letters):
    return "O" if code == 0 else letters[(code - 1) % len(letters)] + "-L" + str((code - 1) // len(letters))


def proper(n, labels, letters):
    out = []
    while len(out) < n:
        if R.random() < 0.5:
            out.append(0)
            continue
        label, size = R.randrange(labels), R.randint(1, 4)
        first = 1 + label * len(letters)
        if len(letters) == 2:
            out += [first] + [first + 1] * (size - 1)
        else:
            out += [first + 3] if size == 1 else [first] + [first + 1] * (size - 2) + [first + 2]
    return out[:n]


def noisy(codes, n_codes, rate):
    return [R.randrange(n_codes) if R.random() < rate else c for c in codes]


def average(function, truth, said, classes, **more):
    per = {}
    p, r, f, s = function(truth, said, average=None, **more)
    for i, c in enumerate(classes):
        per[c] = (p[i], r[i], f[i], s[i])
    rows = []
    for kind in ("micro", "macro", "weighted"):
        p, r, f, s = function(truth, said, average=kind, **more)
        rows.append((p, r, f, s))
    return per, rows


def entity_types(sequences, scheme):
    from seqeval.metrics.sequence_labeling import get_entities
    from seqeval.scheme import Entities
    if scheme is None:
        return {t for t, _, _ in get_entities(sequences)}
    return Entities(sequences, scheme).unique_tags


def values(truth, said, scheme, letters, labels):
    flat_truth = [c for s in truth for c in s]
    flat_said = [c for s in said for c in s]
    n_codes = 1 + labels * len(letters)
    out = []
    for first in (0, 1):
        present = [c for c in range(first, n_codes) if c in flat_truth or c in flat_said]
        per = flat(flat_truth, flat_said, labels=range(n_codes), average=None, zero_division=0)
        for c in range(n_codes):
            out += [per[k][c] if c >= first else 0 for k in range(4)]
        for kind in ("micro", "macro", "weighted"):
            p, r, f, _ = flat(flat_truth, flat_said, labels=present, average=kind, zero_division=0)
            out += [p, r, f, sum(c >= first for c in flat_truth)]
    t = [[name(c, letters) for c in s] for s in truth]
    s = [[name(c, letters) for c in q] for q in said]
    for which in (None, scheme):
        classes = sorted(entity_types(t, which) | entity_types(s, which))
        if which is None:
            per, rows = average(lenient, t, s, classes)
        else:
            per, rows = average(strict, t, s, classes, scheme=scheme)
        for label in range(labels):
            out += list(per.get("L" + str(label), (0, 0, 0, 0)))
        for row in rows:
            out += list(row)
    return out + [accuracy_score(flat_truth, flat_said)]


def main():
    cases = []
    while len(cases) < 40:
        letters = R.choice(["BI", "BIES"])
        labels = R.randint(1, 4)
        n_codes = 1 + labels * len(letters)
        truth = [proper(R.randint(1, 12), labels, letters) for _ in range(R.randint(1, 6))]
        if R.random() < 0.4:
            truth = [noisy(s, n_codes, 0.15) for s in truth]
        said = [noisy(s, n_codes, R.choice([0, 0.2, 0.5])) for s in truth]
        scheme = IOB2 if letters == "BI" else IOBES
        names = [[name(c, letters) for c in s] for s in truth]
        if not entity_types(names, scheme) or not entity_types(names, None):
            continue
        cases.append((letters, labels, truth, said, values(truth, said, scheme, letters, labels)))
    for i, (letters, labels, truth, said, v) in enumerate(cases):
        print(f"static const double scores_{i}[] = {{{', '.join(repr(float(x)) for x in v)}}};")
        print(f"static const size_t lengths_{i}[] = {{{', '.join(str(len(s)) for s in truth)}}};")
        print(f"static const int32_t actual_{i}[] = {{{', '.join(str(c) for s in truth for c in s)}}};")
        print(f"static const int32_t said_{i}[] = {{{', '.join(str(c) for s in said for c in s)}}};")
    print("static const TagCase tag_cases[] = {")
    for i, (letters, labels, truth, _, v) in enumerate(cases):
        scheme = "LEARN_IOB2" if letters == "BI" else "LEARN_IOBES"
        print(f"\t{{{scheme}, {labels}, {len(truth)}, lengths_{i}, actual_{i}, said_{i}, scores_{i}, {len(v)}}},")
    print("};")


main()
