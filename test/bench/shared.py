"""What shared weights spare: the first prediction of a new connection, and the memory of several, with a model of 64 MB.

Protocol: connections are made one after another and stay; each asks for one row, and the wall time of that statement counts, the library being loaded.
Memory is what /proc/PID/smaps_rollup says of all of them together (Pss: shared pages count by halves, thirds ...). Connections that share and connections
that keep weights of their own (idla.share_from = 1 TB) take turns. Transactions a second are those of pgbench with a model of 1 MB, whose pins
are taken and given back by every statement.

Run by `make bench-shared`, which starts a private cluster and sets PGHOST, PGPORT and PGDATABASE.
"""

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time

import psycopg

OWN = "SET idla.share_from = '1TB'"
SHARED = "SET idla.share_from = '64kB'"


def connect(*statements):
    connection = psycopg.connect(autocommit=True, prepare_threshold=None)
    for statement in ("SET client_min_messages = warning", "SET idla.progress = off", *statements):
        connection.execute(statement)
    return connection


def train(connection, model, width):
    connection.execute("SELECT idla_train(%s, 'SELECT a, b, y FROM t', 'y', architecture => %s, options => '{\"epochs\": 1, \"folds\": 1}')",
                       (model, f"dense({width}) relu dense({width}) relu"))


def first(setting, statement):
    """Milliseconds of the first prediction, and the connection."""
    connection = connect(setting)
    start = time.perf_counter()
    connection.execute(statement).fetchall()
    return 1000 * (time.perf_counter() - start), connection


def memory(connections):
    """MB of all these sessions."""
    total = {"Pss": 0, "Pss_Anon": 0, "Pss_Shmem": 0}
    for connection in connections:
        with open(f"/proc/{connection.info.backend_pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                name = line.split(":")[0]
                if name in total:
                    total[name] += int(line.split()[1]) / 1024
    return total


def sessions(n, rounds):
    statement = "SELECT idla_predict('large', r) FROM t r WHERE id = 7"
    connect(SHARED, "SELECT idla_prewarm('large')").close()
    for words, setting in (("kept by each session", OWN), ("shared", SHARED)) * rounds:
        opened = [first(setting, statement) for _ in range(n)]
        times = [milliseconds for milliseconds, _ in opened]
        sizes = memory([connection for _, connection in opened])
        print(f"{words}: first prediction {statistics.median(times):.1f} ms [{min(times):.1f} to {max(times):.1f}], {n} sessions "
              f"{sizes['Pss']:.0f} MB (their own {sizes['Pss_Anon']:.0f}, shared {sizes['Pss_Shmem']:.0f})", flush=True)
        for _, connection in opened:
            connection.close()


def pgbench(setting, seconds):
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write("\\set id random(1, 200)\nSELECT idla_predict('medium', r) FROM t r WHERE id = :id;\n")
        file.flush()
        out = subprocess.run(["pgbench", "-n", "-M", "prepared", "-c", "8", "-j", "1", "-T", str(seconds), "-f", file.name], check=True, capture_output=True,
                             text=True, env={**os.environ, "PGOPTIONS": setting}).stdout
    return float(re.search(r"tps = ([0-9.]+)", out).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=5, help="of a pgbench run")
    arguments = parser.parse_args()
    connection = connect("CREATE EXTENSION IF NOT EXISTS idla", "DROP TABLE IF EXISTS t")
    connection.execute("CREATE TABLE t AS SELECT i AS id, sin(i) AS a, cos(i * 0.7) AS b, sin(i) + cos(i * 0.7) > 0.3 AS y FROM generate_series(1, 200) i")
    connection.execute("CREATE UNIQUE INDEX ON t (id)")
    connection.execute("ANALYZE t")
    train(connection, "large", 4096)
    train(connection, "medium", 512)
    print(connection.execute("SELECT version()").fetchone()[0], flush=True)
    sessions(arguments.sessions, arguments.rounds)
    own, shared = zip(*[[pgbench(f"-c idla.share_from={size}", arguments.seconds) for size in ("1TB", "64kB")] for _ in range(max(arguments.rounds, 3))])
    ratios = [b / a for a, b in zip(own, shared)]
    print(f"transactions a second, shared beside kept: {statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}], {statistics.median(shared):.0f} beside {statistics.median(own):.0f}")


if __name__ == "__main__":
    main()
