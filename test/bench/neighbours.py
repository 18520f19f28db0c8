"""Whether neighbours by idla_embed are more alike than neighbours by the columns, through SQL.

    make bench-neighbours

A table is halved at random, a model of the defaults is trained on one half, and of every row in the other the five nearest ones in that half are
sought (Euclidean): the share of them that are of its class, mean over rows and halvings, with the standard error of the difference to the columns. Neither the
row nor its neighbours were seen in training. The columns are scaled as the model scales them, categories one-hot: the embedding of a linear model.
"""

import argparse
import platform
import sys

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

NEAREST = 5
# table: target, key, columns that are left out
TABLES = {"heart": ("disease", "patient", []), "wdbc": ("diagnosis", "sample", []),
          "heart_failure": ("died", "patient", ["follow_up_days"])}


def load(connection, table):
    script = open(f"test/data/{table}.sql", encoding="utf-8").read()
    statements, _, _ = script.partition("\\copy")
    connection.execute(statements)
    with open(f"test/data/{table}.csv", "rb") as file, connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)") as out:
        out.write(file.read())


def alike(numbers, classes):
    """The share of each row's nearest that are of its class."""
    squares = (numbers ** 2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * numbers @ numbers.T
    np.fill_diagonal(distances, np.inf)
    return float((classes[np.argsort(distances, axis=1)[:, :NEAREST]] == classes[:, None]).mean())


def judge(connection, table, seed):
    target, key, left_out = TABLES[table]
    half = f"hashint4extended({key}, {seed}) & 1"
    columns = {name: "ignore" for name in [key, *left_out]}
    for model, architecture in (("deep", "auto"), ("straight", "linear")):
        connection.execute(f"DROP TABLE IF EXISTS {model}")
        connection.execute("SELECT idla_train(%s, %s, %s, architecture => %s, options => %s)",
                           (model, f"SELECT * FROM {table} WHERE {half} = 0", target, architecture, Jsonb({"columns": columns, "seed": seed})))
    rows = connection.execute(f"""SELECT {target}::text, idla_embed('deep', t), idla_embed('straight', t), idla_predict('deep', t)
        FROM {table} t WHERE {half} = 1 ORDER BY {key}""").fetchall()
    classes = np.array([row[0] for row in rows])
    risk = np.clip(np.array([row[3] for row in rows]), 1e-9, 1 - 1e-9)
    return {"embedding": alike(np.array([row[1] for row in rows]), classes), "columns": alike(np.array([row[2] for row in rows]), classes),
            "log odds": alike(np.log(risk / (1 - risk))[:, None], classes)}, len(rows[0][1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=list(TABLES), help=", ".join(TABLES))
    parser.add_argument("--halvings", type=int, default=10)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, numpy {np.__version__}, {arguments.halvings} halvings", flush=True)
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS idla")
        connection.execute("SET client_min_messages = warning")
        for table in arguments.tables:
            load(connection, table)
            found = [judge(connection, table, seed) for seed in range(1, arguments.halvings + 1)]
            by_columns = np.array([shares["columns"] for shares, _ in found])
            for what in ("columns", "embedding", "log odds"):
                shares = np.array([one[what] for one, _ in found])
                gain = shares - by_columns
                error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else float("nan")
                print(f"{table:14} {what:10} {shares.mean():.3f}   more than by columns: {gain.mean():+.3f} ± {error:.3f}"
                      + (f"   {found[0][1]} numbers" if what == "embedding" else ""), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
