"""What a small network keeps of a model that it is distilled from: on test parts that neither has seen.

Protocol: for every seed (which deals the rows to their parts, and starts the networks) a teacher is trained with idla's defaults, and from it one
perceptron of two layers by idla_distil, with several weights of the teacher's answers; weight 0 is the same perceptron by itself. What is printed are the
metrics of the versions' cards, which idla_train and idla_distil compute on the test part: means over the seeds and their standard deviations.
--width and others change the student.

Run by `make bench-distil`, which starts a private cluster and sets PGHOST, PGPORT and PGDATABASE.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import psycopg

import tables


def days(data):
    """The same stays, and how long they are."""
    table = tables.diabetes130(data)
    frame = table.frame.drop(columns="readmitted").astype({"time_in_hospital": float})
    frame = frame.rename(columns={"time_in_hospital": "days"})
    stays = tables.Table("days", frame, "days", group=table.group, ignore=table.ignore)
    return stays


TABLES = {"heart": tables.heart, "pima": tables.pima, "wdbc": tables.wdbc, "diabetes130": tables.diabetes130, "days": days}
METRICS = {"binary": ("auroc", "log_loss", "ece"), "regression": ("rmse", "r2")}


def measure(connection, table, seed, weights, extra):
    """{learner: {metric: value}} of one seed, and the seconds that they took."""
    options = {"seed": seed, "columns": {c: "ignore" for c in ("row_number", "fold", *table.ignore)}}
    if table.group:
        options["group_by"] = table.group
    task = "regression" if table.name == "days" else "binary"
    start = time.perf_counter()
    connection.execute("DROP TABLE IF EXISTS bench_teacher, bench_student")
    connection.execute("SELECT * FROM idla_train('bench_teacher', %s, %s, task => %s, options => %s)",
                       (table.name, table.target, task, psycopg.types.json.Jsonb(options)))
    seconds = {"teacher": time.perf_counter() - start}
    found = {}
    for weight in weights:
        start = time.perf_counter()
        rows = connection.execute("SELECT metric, teacher, student FROM idla_distil('bench_teacher', 'bench_student', %s, options => %s)",
                                  (table.name, psycopg.types.json.Jsonb({**extra, "distil_weight": weight}))).fetchall()
        seconds[f"weight {weight:g}"] = time.perf_counter() - start
        found["teacher"] = {metric: teacher for metric, teacher, _ in rows}
        found[f"weight {weight:g}"] = {metric: student for metric, _, student in rows}
    same, = connection.execute("SELECT bool_and((card -> 'teacher' ->> 'same_test')::bool) FROM bench_student WHERE chunk = 0").fetchone()
    if not same:
        raise RuntimeError("the teacher has seen rows that judge")
    return found, seconds


def compare(connection, table, seeds, weights, extra):
    tables.load(connection, table)
    runs = [measure(connection, table, seed, weights, extra) for seed in range(1, seeds + 1)]
    words = connection.execute("SELECT card ->> 'architecture' FROM bench_teacher WHERE chunk = 0 UNION ALL "
                               "(SELECT card ->> 'architecture' FROM bench_student WHERE chunk = 0 LIMIT 1)").fetchall()
    metrics = METRICS["regression" if table.name == "days" else "binary"]
    print(f"\n{table.name}: {len(table.frame)} rows, {seeds} seeds\n  teacher: {words[0][0]}\n  student: {words[1][0]}")
    print(f"  {'':12}" + "".join(f"{m:>20}" for m in metrics) + f"{'seconds':>9}")
    for name in runs[0][0]:
        cells = ""
        for metric in metrics:
            values = [found[name][metric] for found, _ in runs]
            cells += f"{statistics.mean(values):12.4f} ±{statistics.stdev(values) if seeds > 1 else 0:6.4f}"
        print(f"  {name:12}{cells}{statistics.mean(s[name] for _, s in runs):9.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(TABLES)}; default heart, diabetes130 and days")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--weights", type=float, nargs="*", default=[0, 0.5, 0.8, 1])
    parser.add_argument("--options", type=json.loads, default={}, help="of the student")
    arguments = parser.parse_args()
    connection = psycopg.connect(autocommit=True)
    connection.execute("CREATE EXTENSION IF NOT EXISTS idla")
    connection.execute("SET client_min_messages = error")
    print(f"{platform.machine()}, {connection.execute('SELECT version()').fetchone()[0]}")
    for name in arguments.tables or ("heart", "diabetes130", "days"):
        compare(connection, TABLES[name](arguments.data), arguments.seeds, arguments.weights, arguments.options)


if __name__ == "__main__":
    main()
