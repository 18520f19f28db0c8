"""How good idla is on images, signals, series and text, against the scores that were published for nets of this size.

Protocol: everything goes through SQL. A task's published split is kept (or folds by record or patient are made, where there is
none); training picks its epoch on the validation part, and the test part is judged once a seed. Defaults, but for what the
statement of a task shows. Figures are means over the seeds with their standard deviation; a bar is met by the mean.

Run by `make bench-quality-deep`, which starts a private cluster and sets PGHOST, PGPORT and PGDATABASE.
"""

import argparse
import gzip
import io
import platform
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import psycopg
from PIL import Image
from psycopg.types.json import Jsonb
from scipy.ndimage import uniform_filter1d
from scipy.signal import resample_poly

CELLS = ["basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet"]
PARTS = ("train", "validation", "test")
# A cell has no left, right, top or bottom.
CELL_VIEWS = {"rotate": 30, "shift": 0.08, "scale": 0.1, "flip": 0.5, "flip_vertical": 0.5, "brightness": 0.1, "contrast": 0.15}


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
        trained = train(self.connection, "SELECT part, xray, pneumonia FROM xrays", "pneumonia", {"part": "part", "seed": seed})
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
        trained = train(self.connection, "blood", "kind",
                        {"part": "part", "seed": seed, "augment": CELL_VIEWS, "augment_predict": 8})
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


class MitBih(Task):
    """MIT-BIH DS1, ventricular beats (V, E) against all others, five folds of whole records, counted over all beats."""

    bars = {"sensitivity": .85, "positive_predictivity": .80}
    # codes of the annotation file: beats of all kinds, and the ventricular ones
    BEATS, VENTRICULAR = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 34, 38}, {5, 10}
    INTERVALS = ["pre", "post", "pre_local", "post_local", "pre_mean", "post_mean", "pre_post", "local"]

    @staticmethod
    def samples(raw, header):
        """Format 212: two 12-bit samples in three bytes; in millivolts, lead MLII first, a moving mean of 0.6 s subtracted."""
        triple = np.frombuffer(raw, np.uint8).reshape(-1, 3).astype(np.int32)
        leads = np.stack([(triple[:, 1] & 15) << 8 | triple[:, 0], (triple[:, 1] >> 4) << 8 | triple[:, 2]])
        leads = (np.where(leads > 2047, leads - 4096, leads) - 1024) / 200
        if header.splitlines()[1].split()[-1] != "MLII" and header.splitlines()[2].split()[-1] == "MLII":
            leads = leads[::-1]
        return leads - uniform_filter1d(leads, 216, axis=1)

    @staticmethod
    def beats(raw):
        """Annotations: six bits of code, ten of distance; SKIP has a long distance, AUX a text."""
        words, at, time = np.frombuffer(raw, "<u2").astype(int), 0, 0
        while at < len(words) and words[at] != 0:
            code, distance = words[at] >> 10, words[at] & 1023
            if code == 59:
                time += (words[at + 1] << 16) + words[at + 2]
                at += 3
                continue
            at += 1
            if code == 63:
                at += (distance + 1) // 2
            elif code not in (60, 61, 62):
                time += distance
                if code in MitBih.BEATS:
                    yield time, code

    def load(self):
        files = {}
        with tarfile.open(self.data / "signal/mitdb/DS1_train.tar.xz") as archive:
            for member in archive.getmembers():
                if member.isfile():
                    files[Path(member.name).name] = archive.extractfile(member).read()
        records = sorted({name.split(".")[0] for name in files if name.endswith(".atr")})
        folds = np.random.RandomState(3).permutation(len(records)) % 5
        copy(self.connection, "beats", ["record text", "fold int", "ecg real[]", *(f"{i} real" for i in self.INTERVALS), "ventricular boolean"],
             (row for record, fold in zip(records, folds) for row in self.rows(record, int(fold), files)))

    def rows(self, record, fold, files):
        leads = self.samples(files[f"{record}.dat"], files[f"{record}.hea"].decode())
        slow = resample_poly(leads, 1, 2, axis=1) / leads.std(axis=1, keepdims=True)
        times, codes = zip(*self.beats(files[f"{record}.atr"]))
        gaps = np.diff(times) / 360
        past, usual = [], None
        for k in range(1, len(times) - 1):
            centre, pre, post = times[k] // 2, gaps[k - 1], gaps[k]
            if centre < 64 or centre + 96 > slow.shape[1]:
                continue
            local, mean = gaps[max(0, k - 10):k].mean(), gaps[max(0, k - 300):k].mean()
            window = slow[:, centre - 64:centre + 96]
            # What beats of this record look like, whatever they are called: the median of the last 200, renewed every tenth beat.
            if usual is None or len(past) < 20 or len(past) % 10 == 0:
                usual = np.median(past[-200:] or [window], axis=0)
            past.append(window)
            window = np.round(np.concatenate([window, window - usual]), 3).tolist()
            yield (record, fold, window, pre, post, pre / local, post / local, pre / mean, post / mean, pre / post, local,
                   codes[k] in self.VENTRICULAR)

    def judge(self, seed):
        names = ", ".join(["record", "ecg", *self.INTERVALS, "ventricular"])
        found = np.zeros(3)
        for fold in range(5):
            train(self.connection, f"SELECT {names} FROM beats WHERE fold <> {fold}", "ventricular",
                  {"test": 0, "seed": seed, "width": 1008, "group_by": "record", "columns": {"ecg": {"normalize": "none"}}},
                  architecture="rocket")
            found += self.connection.execute(
                "SELECT count(*) FILTER (WHERE p AND v), count(*) FILTER (WHERE v), count(*) FILTER (WHERE p) FROM "
                f"(SELECT idla_classify('m', b) = 'true' AS p, ventricular AS v FROM beats b WHERE fold = {fold}) _").fetchone()
        return {"sensitivity": found[0] / found[1], "positive_predictivity": found[0] / found[2]}


class Icu(Task):
    """PhysioNet 2012, sets a and b: death in hospital from the first 48 hours, five folds of patients (GRU-D AUROC .842)."""

    bars = {"auroc": .860, "auprc": .53}
    STATIC = ["Age", "Gender", "Height", "ICUType", "Weight"]

    def load(self):
        died = {}
        for part in "ab":
            for line in (self.data / f"ehr/physionet2012/Outcomes-{part}.txt").read_text().splitlines()[1:]:
                died[int(line.split(",")[0])] = line.split(",")[5] == "1"
        copy(self.connection, "icu", ["stay int", "fold int", "hours real", "name text", "value real",
                                      *(f"{s.lower()} real" for s in self.STATIC), "died boolean"], self.rows(died))

    def rows(self, died):
        rng = np.random.RandomState(1)
        for part in "ab":
            with tarfile.open(self.data / f"ehr/physionet2012/set-{part}.tar.xz") as archive:
                for member in archive.getmembers():
                    if member.name.endswith(".txt"):
                        yield from self.stay(archive.extractfile(member).read().decode(), died, int(rng.randint(5)))

    def stay(self, text, died, fold):
        """One row a measurement; -1 is missing; what is known on arrival stands in every row."""
        lines = [line.split(",") for line in text.split()[1:]]
        stay, static, measured = int(lines[0][2]), {}, []
        for time, name, value in lines[1:]:
            if not name or not value:
                continue
            if name in self.STATIC and time == "00:00" and name not in static:
                static[name] = float(value) if float(value) >= 0 else None
            elif float(value) >= 0:
                measured.append((int(time[:2]) + int(time[3:]) / 60, name, float(value)))
        for row in measured or [(0.0, None, None)]:
            yield (stay, fold, *row, *(static.get(s) for s in self.STATIC), died[stay])

    def judge(self, seed):
        results = []
        names = ", ".join(["stay", "hours", "name", "value", *self.STATIC, "died"])
        for fold in range(5):
            trained = train(self.connection, f"SELECT {names} FROM icu WHERE fold <> {fold}", "died",
                            {"entity": "stay", "time": "hours", "test": 0, "seed": seed,
                             "series": {"name": "name", "value": "value", "width": 1, "bins": 48,
                                        "static": [s.lower() for s in self.STATIC]}})
            results.append(evaluate(self.connection, f"SELECT {names} FROM icu WHERE fold = {fold}"))
            print(f"    fold {fold}: auroc {results[-1]['auroc']:.4f}, auprc {results[-1]['auprc']:.4f}, {trained['architecture']}, "
                  f"{trained['seconds']:.0f} s", flush=True)
        return {metric: float(np.mean([r[metric] for r in results])) for metric in self.bars}


class Diseases(Task):
    """Names of diseases in sentences; entities count when both ends and the label are right."""

    bars = {"f1": .80}
    kinds = {}

    def sentences(self, path):
        words, tags = [], []
        for line in gzip.open(path, "rt", encoding="utf-8"):
            if line.strip():
                word, tag = line.rstrip("\n").split("\t")[:2]
                words.append(word)
                tags.append(tag if tag.endswith("Disease") else "O")
            elif words:
                yield words, tags
                words, tags = [], []
        if words:
            yield words, tags

    def judge(self, seed):
        trained = train(self.connection, "SELECT part, tokens, tags FROM sentences", "tags", {"part": "part", "seed": seed}, task="tagging")
        rows = self.connection.execute("SELECT * FROM idla_classification_report('m', %s)", ("SELECT * FROM sentences WHERE part = 'test'",))
        for row in rows.fetchall():
            print("    {:14} precision {:.4f} recall {:.4f} f1 {:.4f} support {}".format(*row))
        return evaluate(self.connection, "SELECT * FROM sentences WHERE part = 'test'") | {"minutes": trained["seconds"] / 60}


class Ncbi(Diseases):
    """NCBI disease corpus, the published split, no pretrained weights; entities count when both ends are right."""

    def load(self):
        files = {"train": "train", "devel": "validation", "test": "test"}
        copy(self.connection, "sentences", ["part text", "tokens text[]", "tags text[]"],
             ((part, words, tags) for name, part in files.items()
              for words, tags in self.sentences(self.data / f"text/ncbi_disease/{name}.tsv.gz")))


class Bc5cdr(Diseases):
    """BC5CDR, diseases alone, no pretrained weights; trained on train and three quarters of devel, the rest validates."""

    def load(self):
        def rows():
            for name in ("train", "devel", "test"):
                for number, (words, tags) in enumerate(self.sentences(self.data / f"text/bc5cdr/{name}.tsv.gz")):
                    validates = name == "devel" and number // 100 % 4 == 0
                    yield "test" if name == "test" else "validation" if validates else "train", words, tags
        copy(self.connection, "sentences", ["part text", "tokens text[]", "tags text[]"], rows())


class Ohsumed(Task):
    """OHSUMED, abstracts with one of 23 classes of cardiovascular diseases (Text GCN .684, LSTM .411)."""

    bars = {"accuracy": .60}

    def load(self):
        def rows():
            with tarfile.open(self.data / "text/ohsumed/ohsumed_single_23.tar.gz") as archive:
                for member in archive.getmembers():
                    if member.isfile():
                        _, part, kind, _ = member.name.split("/")
                        yield "test" if part == "test" else "train", archive.extractfile(member).read().decode("latin-1"), kind
        copy(self.connection, "abstracts", ["part text", "abstract text", "kind text"], rows())

    def judge(self, seed):
        trained = train(self.connection, "SELECT abstract, kind FROM abstracts WHERE part = 'train'", "kind", {"test": 0, "seed": seed})
        print(f"    {trained['architecture']}, {trained['seconds']:.0f} s")
        return evaluate(self.connection, "SELECT * FROM abstracts WHERE part = 'test'")


TASKS = {c.__name__.lower(): c for c in (Pneumonia, Blood, Ecg200, MitBih, Icu, Ncbi, Bc5cdr, Ohsumed)}


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
