"""How fast idla trains, reads and predicts, beside PyTorch in and out of the database, in one run.

Every figure that counts is a ratio of medians of alternating rounds, both sides on the same table, network,
optimiser, batch and number of threads. The table of the issue is 1,000,000 x 30 (MLP 30-128-64-1); every bar is also
run on two other shapes, so that nothing is tuned to one.

Run by `make bench-speed-tables`, which starts a private cluster and sets PGHOST, PGPORT and PGDATABASE.
"""

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import psycopg
import torch
from psycopg.types.json import Jsonb


@dataclass
class Shape:
    rows: int
    columns: int
    hidden: tuple

    @property
    def name(self):
        return f"{self.rows:,} x {self.columns}, MLP {self.columns}-{'-'.join(map(str, self.hidden))}-1"

    @property
    def table(self):
        return f"bench_{self.rows}_{self.columns}"

    @property
    def layers(self):
        return " ".join(f"dense({h}) relu" for h in self.hidden)

    def data(self):
        random = np.random.default_rng(7)
        x = random.standard_normal((self.rows, self.columns), dtype=np.float32)
        logit = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3:].sum(axis=1) / np.sqrt(self.columns)
        return x, random.random(self.rows) < 1 / (1 + np.exp(-logit))


SHAPES = [Shape(1_000_000, 30, (128, 64)), Shape(200_000, 120, (96, 32)), Shape(600_000, 9, (64, 64, 32))]
TRAIN_BARS = {256: 4.0, 1024: 2.0}
COPY_BAR, PANDAS_BAR, READ_BAR = 3.0, 6.0, 0.5
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)


# ---- COPY BINARY to and from numpy: the fastest road out of a server that a client has ----

def record_type(columns):
    fields = [("n", ">i2"), ("id_size", ">i4"), ("id", ">i4"), ("y_size", ">i4"), ("y", "i1")]
    for column in range(columns):
        fields += [(f"s{column}", ">i4"), (f"x{column}", ">f4")]
    return np.dtype(fields)


def pack(x, y):
    rows = np.zeros(len(x), record_type(x.shape[1]))
    rows["n"], rows["id_size"], rows["y_size"] = 2 + x.shape[1], 4, 1
    rows["id"], rows["y"] = np.arange(len(x)), y
    for column in range(x.shape[1]):
        rows[f"s{column}"], rows[f"x{column}"] = 4, x[:, column]
    return HEADER + rows.tobytes() + b"\xff\xff"


def copy_out(connection, shape):
    parts = []
    with connection.cursor().copy(f"COPY {shape.table} TO STDOUT (FORMAT binary)") as copy:
        for part in copy:
            parts.append(bytes(part))
    rows = np.frombuffer(b"".join(parts), record_type(shape.columns), count=shape.rows, offset=len(HEADER))
    x = np.empty((shape.rows, shape.columns), np.float32)
    for column in range(shape.columns):
        x[:, column] = rows[f"x{column}"]
    return rows["id"].astype(np.int32), x, rows["y"].astype(np.float32)


def copy_back(connection, ids, answers):
    rows = np.zeros(len(ids), np.dtype([("n", ">i2"), ("s0", ">i4"), ("id", ">i4"), ("s1", ">i4"), ("p", ">f8")]))
    rows["n"], rows["s0"], rows["s1"], rows["id"], rows["p"] = 2, 4, 8, ids, answers
    connection.execute("DROP TABLE IF EXISTS scored; CREATE TABLE scored (id int, p float8)")
    with connection.cursor().copy("COPY scored FROM STDIN (FORMAT binary)") as copy:
        copy.write(HEADER + rows.tobytes() + b"\xff\xff")


def create(connection, shape):
    x, y = shape.data()
    columns = ", ".join(f"x{c} real NOT NULL" for c in range(shape.columns))
    connection.execute(f"DROP TABLE IF EXISTS {shape.table}; "
                       f"CREATE TABLE {shape.table} (id int NOT NULL, y boolean NOT NULL, {columns})")
    with connection.cursor().copy(f"COPY {shape.table} FROM STDIN (FORMAT binary)") as copy:
        copy.write(pack(x, y))
    connection.execute(f"VACUUM ANALYZE {shape.table}")
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))


# ---- PyTorch ----

def network(shape):
    layers, width = [], shape.columns
    for hidden in shape.hidden:
        layers += [torch.nn.Linear(width, hidden), torch.nn.ReLU()]
        width = hidden
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))


def torch_epoch(model, optimizer, x, y, batch):
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits
    order = torch.randperm(len(x))
    for first in range(0, len(x), batch):
        rows = order[first:first + batch]
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(x[rows]).squeeze(1), y[rows]).backward()
        optimizer.step()


def best_torch(shape, x, y, batch, threads):
    """The fastest of thread counts and Adam flavours on a tenth of the rows."""
    part, rates = max(20_000, len(x) // 10), {}
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        for flavour in ({"foreach": True}, {"fused": True}):
            model = network(shape)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **flavour)
            torch_epoch(model, optimizer, x[:4 * batch], y[:4 * batch], batch)
            start = time.perf_counter()
            torch_epoch(model, optimizer, x[:part], y[:part], batch)
            rates[count, tuple(flavour)[0]] = part / (time.perf_counter() - start)
    return max(rates, key=rates.get)


def torch_train(shape, x, y, batch, choice):
    torch.set_num_threads(choice[0])
    model = network(shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **{choice[1]: True})
    start = time.perf_counter()
    torch_epoch(model, optimizer, x, y, batch)
    return time.perf_counter() - start, model


def torch_predict(model, x):
    with torch.no_grad():
        return torch.cat([torch.sigmoid(model(part)).squeeze(1) for part in x.split(1024)]).double().numpy()


# ---- idla ----

def options(shape, batch, epochs, threads):
    return Jsonb({"layers": shape.layers, "columns": {"id": "ignore"}, "batch": batch, "epochs": epochs,
                  "threads": threads, "rate": 1e-3, "optimizer": "adamw", "decay": 0, "schedule": "constant",
                  "warm_up": 0, "clip": 0, "average": 0, "patience": 0, "calibrate": False, "linear": False,
                  "embedding": "none", "validation": 0, "test": 0, "seed": 1})


def idla_train(connection, shape, batch, epochs, threads):
    """Seconds of the whole statement, from table to model."""
    connection.execute("DROP TABLE IF EXISTS bench_model")
    start = time.perf_counter()
    connection.execute("SELECT * FROM idla_train('bench_model', %s, 'y', architecture => 'layers', options => %s)",
                       (shape.table, options(shape, batch, epochs, threads)))
    return time.perf_counter() - start


def idla_rate(connection, shape, batch, threads):
    """Rows a second of training alone: what some million rows of more epochs add to the statement."""
    epochs = -(-4_000_000 // shape.rows)
    return epochs * shape.rows / (idla_train(connection, shape, batch, 1 + epochs, threads)
                                  - idla_train(connection, shape, batch, 1, threads))


def idla_score(connection, shape):
    connection.execute("DROP TABLE IF EXISTS scored")
    start = time.perf_counter()
    connection.execute(f"CREATE TABLE scored AS SELECT id, idla_predict('bench_model', t) AS p FROM {shape.table} t")
    return time.perf_counter() - start


# ---- Reports ----

class Bars:
    def __init__(self):
        self.misses = []

    def tell(self, what, ratios, bar, unit="x"):
        value = statistics.median(ratios)
        met = value >= bar
        print(f"  {what}: {value:.2f}{unit} [{min(ratios):.2f}-{max(ratios):.2f}], bar {bar}: {'met' if met else 'MISSED'}",
              flush=True)
        if not met:
            self.misses.append(f"{what}: {value:.2f}, bar {bar}")


def training(connection, shape, x, y, rounds, threads, bars):
    for batch, bar in TRAIN_BARS.items():
        choice = best_torch(shape, x, y, batch, threads)
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(idla_rate(connection, shape, batch, threads))
            theirs.append(shape.rows / torch_train(shape, x, y, batch, choice)[0])
        print(f"  batch {batch}: idla {statistics.median(ours):,.0f} rows/s, PyTorch {statistics.median(theirs):,.0f} "
              f"(best of its loops: {choice[0]} thread(s), {choice[1]} Adam)")
        bars.tell(f"training, batch {batch}, idla / PyTorch", [a / b for a, b in zip(ours, theirs)], bar)


def round_trip(connection, shape, rounds, threads, bars, batch=1024):
    x, y = (torch.from_numpy(part) for part in copy_out(connection, shape)[1:])
    choice = best_torch(shape, x, y, batch, threads)
    by_copy, by_pandas = [], []
    for _ in range(rounds):
        ours = idla_train(connection, shape, batch, 1, threads) + idla_score(connection, shape)

        start = time.perf_counter()
        ids, x, y = copy_out(connection, shape)
        x = torch.from_numpy(x)
        model = torch_train(shape, x, torch.from_numpy(y), batch, choice)[1]
        copy_back(connection, ids, torch_predict(model, x))
        by_copy.append((time.perf_counter() - start) / ours)

        start = time.perf_counter()
        cursor = connection.execute(f"SELECT * FROM {shape.table}")
        frame = pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])
        x = torch.from_numpy(frame.iloc[:, 2:].to_numpy(np.float32))
        model = torch_train(shape, x, torch.from_numpy(frame["y"].to_numpy(np.float32)), batch, choice)[1]
        copy_back(connection, frame["id"].to_numpy(), torch_predict(model, x))
        by_pandas.append((time.perf_counter() - start) / ours)
    bars.tell(f"table to model to scored table, batch {batch}, COPY BINARY + PyTorch / idla", by_copy, COPY_BAR)
    bars.tell(f"the same, pandas + PyTorch / idla", by_pandas, PANDAS_BAR)


def reading(connection, shape, rounds, bars):
    """Reading into the store against summing the same columns, one process each."""
    summed = ", ".join(f"sum(x{c})" for c in range(shape.columns))
    connection.execute("SET max_parallel_workers_per_gather = 0; SET jit = off")
    ratios = []
    for _ in range(rounds):
        start = time.perf_counter()
        connection.execute(f"SELECT {summed} FROM {shape.table}")
        scan = time.perf_counter() - start
        idla_train(connection, shape, 8192, 1, 1)
        read = connection.execute("SELECT (card->>'reading_seconds')::float8 FROM bench_model WHERE chunk = 0").fetchone()[0]
        ratios.append(scan / read)
    bars.tell("reading rate / rate of summing the columns in SQL", ratios, READ_BAR)
    connection.execute("RESET max_parallel_workers_per_gather; RESET jit")


def resident(connection, field):
    pid = connection.info.backend_pid
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(field)


def memory(shape, threads, bars):
    with psycopg.connect(autocommit=True) as connection:
        idla_train(connection, shape, 1024, 1, threads)
        peak = resident(connection, "VmHWM")
        allowed = 1.5 * shape.rows * shape.columns * 4 / 2**20 + 64
        bars.tell(f"allowed peak ({allowed:.0f} MB) / peak resident size of the training backend ({peak:.0f} MB)",
                  [allowed / peak], 1.0)


def leak(bars):
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS leak_rows, leak_model")
        connection.execute("CREATE TABLE leak_rows AS SELECT random() AS a, random() AS b, random() < .5 AS y "
                           "FROM generate_series(1, 2000)")
        sizes = []
        for _ in range(100):
            connection.execute("SELECT idla_train('leak_model', 'leak_rows', 'y', architecture => 'mlp', "
                               "options => '{\"epochs\": 2}')")
            # the backend's own memory: pages of the shared buffers that it has touched count for nobody
            sizes.append(resident(connection, "RssAnon"))
        connection.execute("DROP TABLE leak_rows, leak_model")
    growth = sizes[-1] / sizes[9]
    bars.tell("1.05 / growth of the private resident size from training 10 to training 100", [1.05 / growth], 1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--shapes", type=int, nargs="*", default=list(range(len(SHAPES))))
    parser.add_argument("--only", nargs="*", default=["training", "round_trip", "reading", "memory", "leak"])
    arguments = parser.parse_args()
    torch.manual_seed(0)
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS idla")
        connection.execute("SET client_min_messages = error")
        model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
        print(f"{model}, {os.cpu_count()} processors, {arguments.threads} threads, PyTorch {torch.__version__}")
        print(connection.execute("SELECT version()").fetchone()[0])
        bars = Bars()
        for number in arguments.shapes:
            shape = SHAPES[number]
            print(f"\n{shape.name}")
            x, y = create(connection, shape)
            if "training" in arguments.only:
                training(connection, shape, x, y, arguments.rounds, arguments.threads, bars)
            if "round_trip" in arguments.only:
                round_trip(connection, shape, arguments.rounds, arguments.threads, bars)
            if "reading" in arguments.only:
                reading(connection, shape, arguments.rounds, bars)
            if "memory" in arguments.only:
                memory(shape, arguments.threads, bars)
    if "leak" in arguments.only:
        leak(bars)
    print("\nall bars met" if not bars.misses else "\nbars missed:\n  " + "\n  ".join(bars.misses))
    return 1 if bars.misses else 0


if __name__ == "__main__":
    sys.exit(main())
