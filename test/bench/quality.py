"""How good idla's untuned defaults are, beside logistic regression, LightGBM, XGBoost and Cox.

Protocol: repeated k-fold cross-validation. In each fold every learner sees the same training rows and
is judged on the same held-out rows, which no learner sees before. Nothing is tuned on the folds: idla runs
`idla_train(model, source, target)` with no options (but group_by where patients repeat), the peers run their
libraries' defaults behind the usual preparation (median imputation, indicators, standardising and one-hot coding
for logistic regression; native missing values and categories for the trees).

Run by `make bench-quality-tables`, which starts a private cluster and sets PGHOST, PGPORT and PGDATABASE.
"""

import argparse
import platform
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg

import lifelines
import lightgbm
import sklearn
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tables import TABLES, load

warnings.filterwarnings("ignore")


# ---- idla ----

def idla(connection, table, train, test, architecture="auto"):
    """Trains on the rows numbered `train`, returns what idla_predict says of the rows numbered `test`."""
    kept = table.features() + table.target.split(",") + ([table.group] if table.group else [])
    listed = ", ".join(f'"{c}"' for c in kept)
    connection.execute("CREATE TEMP TABLE fold_rows (row_number int PRIMARY KEY)")
    with connection.cursor().copy("COPY fold_rows FROM STDIN") as copy:
        for number in train:
            copy.write_row((int(number),))
    options = {"test": 0}
    if table.group:
        options["group_by"] = table.group
    source = f'SELECT {listed} FROM "{table.name}" JOIN fold_rows USING (row_number) ORDER BY row_number'
    task = "survival" if table.survival else "binary"
    connection.execute("SELECT * FROM idla_train('bench_model', %s, %s, task => %s, architecture => %s, options => %s)",
                       (source, table.target, task, architecture, psycopg.types.json.Jsonb(options)))
    # a derived table may not hide the record's column names: select the features by name
    rows = connection.execute(
        f'SELECT row_number, idla_predict(\'bench_model\', t) FROM "{table.name}" t '
        "WHERE row_number = ANY(%s)", ([int(n) for n in test],)).fetchall()
    connection.execute("DROP TABLE fold_rows, bench_model")
    answer = dict(rows)
    return np.array([answer[int(n)] for n in test])


# ---- Peers ----

def split_kinds(frame, features):
    text = [c for c in features if frame[c].dtype == object or isinstance(frame[c].dtype, pd.StringDtype)]
    return [c for c in features if c not in text], text


def logistic(table, train, test):
    features = table.features()
    numbers, text = split_kinds(table.frame, features)
    prepared = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
        ("text", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20), text)])
    model = make_pipeline(prepared, LogisticRegression(max_iter=2000))
    frame = table.frame[features].astype({c: float for c in numbers}).astype({c: object for c in text})
    for column in text:
        frame[column] = frame[column].where(frame[column].notna(), "missing")
    model.fit(frame.iloc[train], table.frame[table.target].iloc[train])
    return model.predict_proba(frame.iloc[test])[:, 1]


def trees(table, train, test, learner):
    features = table.features()
    numbers, text = split_kinds(table.frame, features)
    frame = table.frame[features].astype({c: float for c in numbers})
    for column in text:
        known = pd.Index(frame[column].iloc[train].dropna().unique())
        frame[column] = pd.Categorical(frame[column], categories=known)
    label = table.frame[table.target].astype(int)
    learner.fit(frame.iloc[train], label.iloc[train])
    return learner.predict_proba(frame.iloc[test])[:, 1]


def lightgbm_default(table, train, test):
    return trees(table, train, test, lightgbm.LGBMClassifier(verbose=-1, n_jobs=2))


def xgboost_default(table, train, test):
    return trees(table, train, test, xgboost.XGBClassifier(enable_categorical=True, n_jobs=2))


def cox(table, train, test):
    time_column, event = table.survival
    frame = pd.get_dummies(table.frame, dtype=float, drop_first=True).astype(float)
    frame.columns = [c.removesuffix("_True") for c in frame.columns]
    inputs = [c for c in frame.columns if c not in (time_column, event)]
    frame[inputs] = frame[inputs].fillna(frame.iloc[train][inputs].median())
    model = lifelines.CoxPHFitter().fit(frame.iloc[train], time_column, event)
    return model.predict_partial_hazard(frame.iloc[test]).to_numpy()


# ---- Judging ----

def ece(label, probability, bins=10):
    place = np.minimum((probability * bins).astype(int), bins - 1)
    return sum(abs(probability[place == b].sum() - label[place == b].sum()) for b in range(bins)) / len(label)


def judge(table, test, answer):
    if table.survival:
        time_column, event = table.survival
        frame = table.frame.iloc[test]
        return {"concordance": lifelines.utils.concordance_index(frame[time_column], -answer, frame[event])}
    label = table.frame[table.target].iloc[test].to_numpy().astype(int)
    return {"auroc": roc_auc_score(label, answer), "log_loss": log_loss(label, np.clip(answer, 1e-15, 1 - 1e-15)),
            "brier": brier_score_loss(label, answer), "ece": ece(label, answer)}


def folds(table, k, repeats):
    for repeat in range(repeats):
        if table.group:
            groups = table.frame[table.group]
            order = np.random.default_rng(repeat).permutation(groups.unique())
            place = dict(zip(order, range(len(order))))
            yield from GroupKFold(k).split(table.frame, groups=groups.map(place))
        else:
            label = table.frame[table.survival[1] if table.survival else table.target]
            yield from StratifiedKFold(k, shuffle=True, random_state=repeat).split(table.frame, label)


def compare(connection, table, k, repeats):
    """Prints a line per learner and metric; returns the sentences of the issue that do not hold."""
    load(connection, table)
    peers = {"cox": cox} if table.survival else {
        "logistic": logistic, "lightgbm": lightgbm_default, "xgboost": xgboost_default}
    learners = {"idla auto": lambda t, a, b: idla(connection, t, a, b)}
    if table.name == "heart":
        learners["idla tabm"] = lambda t, a, b: idla(connection, t, a, b, "tabm")
        learners["idla nam"] = lambda t, a, b: idla(connection, t, a, b, "nam")
    learners.update(peers)
    scores, seconds = {name: [] for name in learners}, dict.fromkeys(learners, 0.0)
    pairs = list(folds(table, k, repeats))
    for train, test in pairs:
        for name, learner in learners.items():
            start = time.perf_counter()
            scores[name].append(judge(table, test, learner(table, train, test)))
            seconds[name] += time.perf_counter() - start

    print(f"\n{table.name}: {len(table.frame)} rows, {len(table.features())} columns, "
          f"{repeats} x {k}-fold{' by ' + table.group if table.group else ''}")
    metrics = list(scores["idla auto"][0])
    print(f"  {'learner':12}" + "".join(f"{m:>20}" for m in metrics) + f"{'s/fold':>9}")
    mean = {}
    for name in learners:
        frame = pd.DataFrame(scores[name])
        mean[name] = frame.mean()
        cells = "".join(f"{frame[m].mean():12.4f} ±{frame[m].std(ddof=1):6.4f}" for m in metrics)
        print(f"  {name:12}{cells}{seconds[name] / len(pairs):9.2f}", flush=True)

    misses = []
    for metric, bar in table.bars.items():
        value = mean["idla auto"][metric]
        met = value >= bar if metric == "auroc" else value <= bar
        print(f"  bar {metric} {'>=' if metric == 'auroc' else '<='} {bar}: {value:.4f} {'met' if met else 'MISSED'}")
        if not met:
            misses.append(f"{table.name} {metric} {value:.4f}, bar {bar}")
    metric = metrics[0]
    best = max(peers, key=lambda name: mean[name][metric])
    gap = pd.DataFrame(scores["idla auto"])[metric] - pd.DataFrame(scores[best])[metric]
    error = gap.std(ddof=1) / np.sqrt(len(gap))
    met = gap.mean() >= -error
    print(f"  idla - {best} ({metric}, paired by fold): {gap.mean():+.4f}, standard error {error:.4f}: "
          f"{'no worse' if met else 'WORSE'}")
    if not met:
        misses.append(f"{table.name} {metric} below {best} by {-gap.mean():.4f}, standard error {error:.4f}")
    if table.name == "heart":
        distance = mean["idla tabm"]["auroc"] - mean["idla nam"]["auroc"]
        print(f"  tabm - nam: {distance:+.4f} (bar: at most .01): {'met' if distance <= .01 else 'MISSED'}")
        if distance > .01:
            misses.append(f"nam {distance:.4f} below tabm on heart")
    return misses


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(TABLES)}; default all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    arguments = parser.parse_args()
    connection = psycopg.connect(autocommit=True)
    connection.execute("CREATE EXTENSION IF NOT EXISTS idla")
    connection.execute("SET client_min_messages = error")
    print(f"{platform.machine()}, python {platform.python_version()}, scikit-learn {sklearn.__version__}, "
          f"lightgbm {lightgbm.__version__}, xgboost {xgboost.__version__}, lifelines {lifelines.__version__}")
    print(connection.execute("SELECT version()").fetchone()[0])
    misses = []
    for name in arguments.tables or TABLES:
        table = TABLES[name](arguments.data)
        large = len(table.frame) > 20000
        misses += compare(connection, table, arguments.folds, 1 if large else arguments.repeats)
    print("\nall bars met" if not misses else "\nbars missed:\n  " + "\n  ".join(misses))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
