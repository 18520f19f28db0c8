"""Writes metrics.inc: inputs of test_metrics.c and the values that scikit-learn and lifelines give for them.

    python metrics.py > metrics.inc        (scikit-learn, lifelines, numpy)
    python metrics.py sql                  the values in test/sql/metrics.sql, whose tables are made by the same formulas

Expected calibration error and DeLong's interval have no implementation there; they are computed here from their definitions.
"""
import math
import sys
import warnings

import numpy as np
from lifelines.utils import concordance_index
from sklearn import metrics

warnings.filterwarnings("ignore")
random = np.random.default_rng(20260101)


def number(value):
    value = float(value)
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(value)


def array(kind, name, values):
    text = ", ".join(number(v) if kind == "double" else str(int(v)) for v in values)
    print(f"static const {kind} {name}[] = {{{text}}};")


def ece(score, label, bins):
    place = np.minimum((score * bins).astype(int), bins - 1)
    return sum(abs((score - label)[place == b].sum()) for b in range(bins)) / len(score)


def delong(score, label):
    """AUROC's 95 % interval on the logit scale, from the quadratic definition."""
    positive, negative = score[label == 1], score[label == 0]
    pairs = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    area = pairs.mean()
    if len(positive) < 2 or len(negative) < 2 or area in (0, 1):
        return math.nan, math.nan
    variance = pairs.mean(axis=1).var(ddof=1) / len(positive) + pairs.mean(axis=0).var(ddof=1) / len(negative)
    half = 1.959963984540054 * math.sqrt(variance) / (area * (1 - area))
    logit = math.log(area / (1 - area))
    return tuple(1 / (1 + math.exp(-(logit + sign * half))) for sign in (-1, 1))


def binary_cases():
    n = 151
    label = (random.random(n) < 0.3).astype(int)
    score = 1 / (1 + np.exp(-(random.normal(size=n) + 1.2 * label - 1)))
    yield "continuous", score, label
    yield "tied", np.round(score, 1), label
    yield "constant", np.full(20, 0.25), label[:20]
    yield "perfect", np.where(label == 1, 0.9, 0.2)[:40], label[:40]
    yield "reversed", np.where(label == 1, 0.2, 0.9)[:40], label[:40]
    yield "one_positive", score[:9], np.array([0, 0, 0, 1, 0, 0, 0, 0, 0])
    yield "no_positive", score[:12], np.zeros(12, int)
    yield "no_negative", score[:12], np.ones(12, int)
    yield "certain", np.array([0.0, 1.0, 0.0, 1.0, 0.5, 1e-300, 1 - 2.0**-53]), np.array([0, 1, 1, 0, 1, 1, 0])
    yield "pair", np.array([0.4, 0.6]), np.array([1, 0])


def binary():
    rows = []
    for name, score, label in binary_cases():
        array("double", f"{name}_score", score)
        array("uint8_t", f"{name}_label", label)
        both = 0 < label.sum() < len(label)
        low, high = delong(score, label) if both else (math.nan, math.nan)
        hard = (score >= 0.5).astype(int)
        rows.append((name, len(score), (
            metrics.roc_auc_score(label, score) if both else math.nan,
            metrics.average_precision_score(label, score) if label.any() else math.nan,
            metrics.brier_score_loss(label, score) if both else np.mean((score - label) ** 2),
            metrics.log_loss(label, score, labels=[0, 1]),
            ece(score, label, 10),
            ece(score, label, 7),
            metrics.accuracy_score(label, hard),
            metrics.f1_score(label, hard),
            low, high)))
    print("static const BinaryCase binary_cases[] = {")
    for name, n, values in rows:
        print(f'\t{{"{name}", {n}, {name}_score, {name}_label, {", ".join(map(number, values))}}},')
    print("};\n")


def regression():
    actual = random.normal(size=120) * 3 + 10
    cases = [
        ("usual", actual + random.normal(size=120), actual),
        ("far", actual + 1e6 + random.normal(size=120), actual + 1e6),
        ("flat", actual[:10], np.full(10, 4.0)),
        ("flat_exact", np.full(10, 4.0), np.full(10, 4.0)),
        ("single", actual[:1] + 1, actual[:1]),
    ]
    rows = []
    for name, predicted, actual in cases:
        array("double", f"{name}_predicted", predicted)
        array("double", f"{name}_actual", actual)
        rows.append((name, len(actual), (
            math.sqrt(metrics.mean_squared_error(actual, predicted)),
            metrics.mean_absolute_error(actual, predicted),
            metrics.r2_score(actual, predicted) if len(actual) > 1 else math.nan)))
    print("static const RegressionCase regression_cases[] = {")
    for name, n, values in rows:
        print(f'\t{{"{name}", {n}, {name}_predicted, {name}_actual, {", ".join(map(number, values))}}},')
    print("};\n")


def survival():
    n = 160
    risk = random.normal(size=n)
    time = random.exponential(np.exp(-risk))
    event = (random.random(n) < 0.6).astype(int)
    cases = [
        ("free", risk, time, event),
        ("coarse", np.round(risk), np.ceil(time * 3), event),
        ("coarse_time", risk, np.ceil(time * 2), event),
        ("one_time", np.round(risk[:30], 1), np.ones(30), event[:30]),
        ("all_events", risk[:50], time[:50], np.ones(50, int)),
        ("no_event", risk[:20], time[:20], np.zeros(20, int)),
        ("last_event", risk[:20], np.arange(20.0), np.array([0] * 19 + [1])),
        ("alone", risk[:1], time[:1], np.ones(1, int)),
    ]
    rows = []
    for name, risk, time, event in cases:
        array("double", f"{name}_risk", risk)
        array("double", f"{name}_time", time)
        array("uint8_t", f"{name}_event", event)
        try:
            value = concordance_index(time, -risk, event)
        except ZeroDivisionError:
            value = math.nan
        rows.append((name, len(risk), value))
    print("static const SurvivalCase survival_cases[] = {")
    for name, n, value in rows:
        print(f'\t{{"{name}", {n}, {name}_risk, {name}_time, {name}_event, {number(value)}}},')
    print("};\n")


def classes():
    n, k = 90, 5
    label = random.integers(0, 4, n)  # class 4 never occurs
    predicted = np.where(random.random(n) < 0.6, label, random.integers(0, 3, n))  # and classes 3, 4 are rarely or never predicted
    probability = random.dirichlet(np.ones(k), n)
    probability[3] = np.eye(k)[(label[3] + 1) % k]  # certain and wrong
    report = metrics.classification_report(label, predicted, output_dict=True, zero_division=0)
    array("uint32_t", "class_label", label)
    array("uint32_t", "class_predicted", predicted)
    array("double", "class_probability", probability.ravel())
    print(f"static const double class_log_loss = {number(metrics.log_loss(label, probability, labels=range(k)))};")
    print(f"static const double class_accuracy = {number(metrics.accuracy_score(label, predicted))};")
    print("static const LearnClassScore class_scores[] = {")
    for c in range(k):
        row = report.get(str(c), {"precision": 0, "recall": 0, "f1-score": 0, "support": 0})
        print(f'\t{{{number(row["precision"])}, {number(row["recall"])}, {number(row["f1-score"])}, {int(row["support"])}}},')
    print("};")
    print("static const LearnClassScore class_averages[] = {")
    micro = metrics.precision_recall_fscore_support(label, predicted, average="micro")
    print(f"\t{{{number(micro[0])}, {number(micro[1])}, {number(micro[2])}, {n}}},")
    for average in ("macro avg", "weighted avg"):
        row = report[average]
        print(f'\t{{{number(row["precision"])}, {number(row["recall"])}, {number(row["f1-score"])}, {int(row["support"])}}},')
    print("};")


def sql():
    i = np.arange(1, 20001)
    p = (i * 7919 % 1009) / 1008
    tied = (i * 7919 % 11) / 10
    label = i * 104729 % 997 < 200 + (i * 7919 % 1009) // 2
    tied_label = i * 104729 % 997 < 200 + (i * 7919 % 11) * 50
    actual = (i * 31337 % 1000) / 10
    predicted = actual + (i * 271 % 21 - 10) / 3
    time = 1 + i * 6007 % 50
    event = i % 3 != 0
    risk = (i * 7919 % 101) / 10 - time // 7
    named = np.array(["home", "ward", "icu", "died"])
    outcome = named[i * 31 % 4]
    guess = named[np.where(i % 5 == 0, i % 4, i * 31 % 4)]
    print("auroc", metrics.roc_auc_score(label, p))
    print("auroc tied", metrics.roc_auc_score(tied_label, tied))
    print("auprc", metrics.average_precision_score(label, p))
    print("auprc tied", metrics.average_precision_score(tied_label, tied))
    print("brier", metrics.brier_score_loss(label, p))
    print("log_loss", metrics.log_loss(label, p))
    print("ece", ece(p, label, 10))
    print("ece 1", ece(p, label, 1))
    print("f1", metrics.f1_score(label, p >= 0.5))
    print("accuracy", metrics.accuracy_score(outcome, guess))
    print("rmse", math.sqrt(metrics.mean_squared_error(actual, predicted)))
    print("mae", metrics.mean_absolute_error(actual, predicted))
    print("r2", metrics.r2_score(actual, predicted))
    print("concordance", concordance_index(time, -risk, event))


if sys.argv[1:] == ["sql"]:
    sql()
    sys.exit()
print("/* Written by metrics.py; do not edit. */")
binary()
regression()
survival()
classes()
