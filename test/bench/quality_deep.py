"""How good idla is on images, signals, series and text, against the scores that were published for nets of this size.

Protocol: everything goes through SQL. A task's published split is kept (or folds by record or patient are made, where there is
none); training picks its epoch on the validation part, and the test part is judged once a seed. Defaults, but for what the
statement of a task shows. Figures are means over the seeds with their standard deviation; a bar is met by the mean.

Run by `make bench-quality-deep`, which starts a private cluster and sets PGHOST, PGPORT and PGDATABASE.
"""

import argparse
import gzip
import io
import lzma
import platform
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import psycopg
from PIL import Image
from psycopg.types.json import Jsonb

CELLS = ["basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet"]
PARTS = ("train", "validation", "test")


def copy(connection, table, columns, rows):
    names = ", ".join(c.split()[0] for c in columns)
    connection.execute(f"DROP TABLE IF EXISTS {table}")
    connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
    with connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as out:
        for row in rows:
            out.write_row(row)
    connection.execute(f"ANALYZE {table}")


def train(connection, source, target, options, task=None, architecture="auto"):
    """One training of the model m; returns what idla_train answers."""
    connection.execute("DROP TABLE IF EXISTS m")
    cursor = connection.execute("SELECT * FROM idla_train('m', %s, %s, %s, %s, %s)",
                                (source, target, task, architecture, Jsonb(options)))
    return dict(zip([c.name for c in cursor.description], cursor.fetchone()))


def evaluate(connection, source):
    return dict(connection.execute("SELECT metric, value FROM idla_evaluate('m', %s)", (source,)).fetchall())


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class Task:
    """Subclasses load their tables once and judge a model once for every seed."""

    bars = {}

    def __init__(self, connection, data):
        self.connection, self.data = connection, data
        self.load()


class Pneumonia(Task):
    """PneumoniaMNIST, chest X-rays 28 x 28 (ResNet-18: AUC .944, accuracy .854)."""

    bars = {"auroc": .955, "accuracy": .87}

    def load(self):
        arrays = np.load(self.data / "image/pneumoniamnist/pneumoniamnist_full_reconstructed.npz")
        rows = ((part, png(image), bool(label[0])) for part, name in zip(PARTS, ("train", "val", "test"))
                for image, label in zip(arrays[f"{name}_images"], arrays[f"{name}_labels"]))
        copy(self.connection, "xrays", ["part text", "xray bytea", "pneumonia boolean"], rows)

    def judge(self, seed):
        trained = train(self.connection, "xrays", "pneumonia", {"part": "part", "seed": seed, "augment": True})
        return evaluate(self.connection, "SELECT * FROM xrays WHERE part = 'test'") | {"minutes": trained["seconds"] / 60}


class Blood(Task):
    """PBC blood cells 28 x 28, own split (ResNet-18 on BloodMNIST: accuracy .958)."""

    bars = {"accuracy": .955}

    def load(self):
        arrays = np.load(self.data / "image/pbc_blood/pbc_blood_28x28.npz")
        rows = ((PARTS[split], png(image), CELLS[label])
                for image, label, split in zip(arrays["images"], arrays["labels"], arrays["split"]))
        copy(self.connection, "blood", ["part text", "cell bytea", "kind text"], rows)

    def judge(self, seed):
        trained = train(self.connection, "blood", "kind", {"part": "part", "seed": seed, "augment": True})
        return evaluate(self.connection, "SELECT * FROM blood WHERE part = 'test'") | {"minutes": trained["seconds"] / 60}


class Ecg200(Task):
    """ECG200 of the UCR archive (InceptionTime .93, MiniRocket .91, ResNet .874)."""

    bars = {"accuracy": .91}

    def load(self):
        rows = []
        for part, name in (("train", "TRAIN"), ("test", "TEST")):
            values = np.loadtxt(io.StringIO(gzip.open(self.data / f"signal/ecg200/ECG200_{name}.txt.gz", "rt").read()
                                            .replace(",", " ")))
            rows += [(part, [float(x) for x in row[1:]], bool(row[0] > 0)) for row in values]
        copy(self.connection, "ecg200", ["part text", "ecg real[]", "normal boolean"], rows)

    def judge(self, seed):
        train(self.connection, "SELECT ecg, normal FROM ecg200 WHERE part = 'train'", "normal", {"test": 0, "seed": seed},
              architecture="rocket")
        return evaluate(self.connection, "SELECT * FROM ecg200 WHERE part = 'test'")


TASKS = {c.__name__.lower(): c for c in (Pneumonia, Blood, Ecg200)}


def report(name, task, seeds):
    print(f"\n{name}: {task.__doc__}")
    results, start = [], time.perf_counter()
    for seed in seeds:
        results.append(task.judge(seed))
        print(f"  seed {seed}: " + ", ".join(f"{k} {v:.4f}" for k, v in results[-1].items() if v is not None), flush=True)
    misses = []
    for metric, bar in task.bars.items():
        values = np.array([r[metric] for r in results])
        met = values.mean() >= bar
        print(f"  {metric}: {values.mean():.4f} ± {values.std(ddof=1) if len(values) > 1 else 0:.4f}, bar {bar}: "
              f"{'met' if met else 'MISSED'}")
        if not met:
            misses.append(f"{name} {metric} {values.mean():.4f}, bar {bar}")
    print(f"  {time.perf_counter() - start:.0f} s in all")
    return misses


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", help=f"of {', '.join(TASKS)}; default all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    connection = psycopg.connect(autocommit=True)
    connection.execute("CREATE EXTENSION IF NOT EXISTS idla")
    connection.execute("SET client_min_messages = error")
    print(f"{platform.machine()}, python {platform.python_version()}, {arguments.seeds} seeds")
    print(connection.execute("SELECT version()").fetchone()[0])
    misses = []
    for name in arguments.tasks or TASKS:
        misses += report(name, TASKS[name](connection, arguments.data), range(1, arguments.seeds + 1))
    print("\nall bars met" if not misses else "\nbars missed:\n  " + "\n  ".join(misses))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
