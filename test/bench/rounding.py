"""What weights in bfloat16 and int8 cost and save, through SQL: quality on rows that training has not seen, size, time to load.

    make bench-rounding

Every model is trained with the defaults of its architecture on the training rows of a table in test/data, once a seed; idla_deploy rounds it and measures both on
the test rows. Told are the leading metric before, how much it changed (mean and the worst seed), how far single answers moved at most, the bytes of weights
in the model's table, and how long a session takes to load each version (median of 9, weights checked against their digests). Exits 1 when a metric
falls by more than its bar.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time

import psycopg

WEIGHTS = ["bfloat16", "int8"]
BAR = 0.01  # of the leading metric, which is a share in all of these

# name, table, rows with a column "part", target, task, architecture, options
CASES = [
    ("heart, `tabm`", "heart", "SELECT h.*, CASE WHEN (patient * 7919 + {seed} * 104729) % 1009 % 10 < 3 THEN 'test' ELSE 'train' END AS part FROM heart h",
     "disease", None, "tabm", '"columns": {"patient": "ignore"}'),
    ("heart, `mlp` 3 x 1024", "heart", "SELECT h.*, CASE WHEN (patient * 7919 + {seed} * 104729) % 1009 % 10 < 3 THEN 'test' ELSE 'train' END AS part FROM heart h",
     "disease", None, "mlp", '"columns": {"patient": "ignore"}, "width": 1024, "depth": 3, "folds": 1'),
    ("heart failure, survival", "heart_failure",
     "SELECT h.*, CASE WHEN (patient * 7919 + {seed} * 104729) % 1009 % 10 < 3 THEN 'test' ELSE 'train' END AS part FROM heart_failure h",
     "follow_up_days, died", "survival", "auto", '"columns": {"patient": "ignore"}'),
    ("X-rays, `cnn`", "xrays", "SELECT part, pneumonia, image FROM xrays", "pneumonia", None, "cnn", None),
    ("heart beats, `fcn`", "beats", "SELECT part, before, after, ecg, ventricular FROM beats", "ventricular", None, "fcn", None),
    ("heart beats, `lstm`", "beats", "SELECT part, before, after, ecg, ventricular FROM beats", "ventricular", None, "lstm", None),
    ("heart beats, `rocket`", "beats", "SELECT part, before, after, ecg, ventricular FROM beats", "ventricular", None, "rocket", None),
    ("diseases in sentences, `bilstm_crf`", "notes", "SELECT part, tokens, tags FROM notes", "tags", None, "bilstm_crf", None),
]


def load_time(connection, version):
    times = []
    for _ in range(9):
        connection.execute("SELECT idla_evict('m')")
        start = time.perf_counter()
        connection.execute("SELECT idla_prewarm('m', %s)", [version])
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def measure(connection, case, seed, threads):
    _, _, rows, target, task, architecture, options = case
    rows = rows.format(seed=seed)
    connection.execute("DROP TABLE IF EXISTS m")
    connection.execute("SELECT * FROM idla_train('m', %s, %s, %s, %s, %s)", [
        rows, target, task, architecture, '{"part": "part", "seed": %d, "threads": %d%s}' % (seed, threads, ", " + options if options else "")])
    result = {}
    for weights in WEIGHTS:
        connection.execute("SELECT idla_deploy('m', 1, weights => %s, source => %s)", [weights, f"SELECT * FROM ({rows}) r WHERE part = 'test'"])
        record = connection.execute("SELECT version, card -> 'rounding' FROM m WHERE chunk = 0 ORDER BY version DESC LIMIT 1").fetchone()
        result[weights] = record
    result["metric"] = connection.execute("SELECT metric FROM idla_evaluate('m', %s, 1) LIMIT 1", [f"SELECT * FROM ({rows}) r WHERE part = 'test'"]).fetchone()[0]
    result["bytes"] = dict(connection.execute("SELECT version, sum(pg_column_size(weights)) FROM m WHERE chunk >= 0 GROUP BY 1").fetchall())
    result["load"] = {version: load_time(connection, version) for version in (1, 2, 3)}
    return result


def tell(case, results):
    metric = results[0]["metric"]
    before = [r["int8"][1]["metrics"][metric]["before"] for r in results]
    print(f"\n{case[0]}: {metric} {statistics.mean(before):.4f}, {results[0]['int8'][1]['rows']} rows to judge, {len(results)} seeds; "
          f"{results[0]['bytes'][1]} bytes, loaded in {statistics.median(r['load'][1] for r in results):.2f} ms")
    kept = True
    for weights in WEIGHTS:
        version = results[0][weights][0]
        changes = [r[weights][1]["metrics"][metric]["after"] - r[weights][1]["metrics"][metric]["before"] for r in results]
        moved = [r[weights][1].get("largest_difference") for r in results]
        kept = kept and min(changes) >= -BAR
        print(f"  {weights}: changed by {statistics.mean(changes):+.5f} (worst {min(changes):+.5f}), answers by at most "
              f"{max(moved) if moved[0] is not None else float('nan'):.5f}; {results[0]['bytes'][version] / results[0]['bytes'][1]:.3f} of the bytes, "
              f"loaded in {statistics.median(r['load'][version] for r in results):.2f} ms", flush=True)
    return kept


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("names", nargs="*", help="tables to measure, all by default")
    arguments = parser.parse_args()
    connection = psycopg.connect(autocommit=True)
    connection.execute("CREATE EXTENSION IF NOT EXISTS idla")
    connection.execute("SET idla.progress = off")
    connection.execute("SET client_min_messages = error")
    print(f"Python {platform.python_version()}, PostgreSQL {connection.info.server_version}, {os.cpu_count()} processors, {platform.machine()}")
    kept = True
    for name in sorted({case[1] for case in CASES}):
        subprocess.run(["psql", "-X", "-q", "-f", f"test/data/{name}.sql"], check=True, stdout=subprocess.DEVNULL)
    for case in CASES:
        if arguments.names and case[1] not in arguments.names:
            continue
        kept = tell(case, [measure(connection, case, seed, arguments.threads) for seed in range(1, arguments.seeds + 1)]) and kept
    print(f"\nno metric fell by more than {BAR}: {'yes' if kept else 'NO'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
