"""How fast predictions are served: beside a scan that adds up the same columns, beside idla's own row path, and beside
ways that take the rows to PyTorch.

Protocol: a table of random numbers (float8), in memory after the first scan; statements alternate, round after round, in one session without
parallel workers or JIT, and are timed by the processor time of their server process, which a busy machine does not lengthen; ratios are
medians over the rounds, with their smallest and largest in brackets. What leaves the server (COPY, PyTorch, COPY back), workers and pgbench are timed by the wall.

Run by `make bench-serving`, which starts a private cluster and sets PGHOST, PGPORT and PGDATABASE. Exits 1 when a bar is missed.
"""

import argparse
import io
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import psycopg
import torch

SHAPES = [("bench", 30, (128, 64)), ("narrow", 8, (64, 32)), ("wide", 100, (256, 64))]
missed = 0


def verdict(words, ratio, bar, at_least=True, spread=None):
    global missed
    met = ratio >= bar if at_least else ratio <= bar
    missed += not met
    around = f" [{min(spread):.2f} to {max(spread):.2f}]" if spread else ""
    print(f"  {words}: {ratio:.2f}{around}, bar {'>=' if at_least else '<='} {bar:g}: {'met' if met else 'MISSED'}", flush=True)


def say(words, ratio, spread):
    print(f"  {words}: {ratio:.2f} [{min(spread):.2f} to {max(spread):.2f}]", flush=True)


class Server:
    def __init__(self):
        self.connection = psycopg.connect(autocommit=True, prepare_threshold=None)
        self.run("SET max_parallel_workers_per_gather = 0")
        self.run("SET jit = off")
        self.run("SET client_min_messages = warning")
        self.run("SET idla.progress = off")

    def run(self, statement, parameters=None):
        cursor = self.connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else None

    def processor_seconds(self):
        with open(f"/proc/{self.connection.info.backend_pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9

    def time(self, statement):
        before = self.processor_seconds()
        self.run(statement)
        return self.processor_seconds() - before

    def wall(self, statement):
        before = time.perf_counter()
        self.run(statement)
        return time.perf_counter() - before


def alternate(rounds, *calls):
    """Seconds of every call, round by round; one round before them is not counted."""
    for call in calls:
        call()
    return list(zip(*[[call() for call in calls] for _ in range(rounds)]))


def compare(over, under):
    ratios = [a / b for a, b in zip(over, under)]
    return statistics.median(ratios), ratios


def make_table(server, name, columns, rows):
    server.run(f"DROP TABLE IF EXISTS {name}")
    numbers = ", ".join(f"random() AS c{i + 1}" for i in range(columns))
    server.run(f"CREATE TABLE {name} AS SELECT g AS id, {numbers} FROM generate_series(1, {rows}) g")
    server.run(f"VACUUM (ANALYZE, FREEZE) {name}")
    server.run(f"DROP TABLE IF EXISTS {name}_train")
    server.run(f"CREATE TABLE {name}_train AS SELECT b.*, c1 + c2 * c3 + random() * 0.3 > 0.8 AS y FROM {name} b WHERE id <= 30000")
    # so few rows are trained in folds and blended, a linear model beside each: ten networks by default
    server.run(f"DROP TABLE IF EXISTS {name}_few")
    server.run(f"CREATE TABLE {name}_few AS SELECT * FROM {name}_train WHERE id <= 3000")


def train(server, model, source, architecture):
    server.run(f"DROP TABLE IF EXISTS {model}")
    server.run("SELECT * FROM idla_train(%s, %s, 'y', architecture => %s, options => '{\"epochs\": 3, \"columns\": {\"id\": \"ignore\"}}')",
               (model, source, architecture))


def layers(widths):
    return " ".join(f"dense({w}) relu" for w in widths)


def products_alone(rows, sizes, batch=256):
    """Processor seconds of the products of a network over so many rows, in batches that stay in the cache."""
    torch.set_num_threads(1)
    weights = [torch.randn(a, b) for a, b in zip(sizes, sizes[1:])]
    x = torch.randn(batch, sizes[0])
    outputs = [torch.empty(batch, b) for b in sizes[1:]]
    start = time.process_time()
    with torch.inference_mode():
        for _ in range(rows // batch):
            y = x
            for w, out in zip(weights, outputs):
                y = torch.mm(y, w, out=out)
    return time.process_time() - start


def scans(server, shape, rows, rounds):
    name, columns, widths = shape
    make_table(server, name, columns, rows)
    train(server, f"{name}_mlp", f"{name}_train", layers(widths))
    print(f"{name}: {rows} rows x {columns} columns, network {'-'.join(map(str, (columns, *widths, 1)))}", flush=True)
    sums = f"SELECT {', '.join(f'sum(c{i + 1})' for i in range(columns))} FROM {name}"
    predictions = f"SELECT sum(idla_predict('{name}_mlp', t)) FROM {name} t"
    deform = f"SELECT sum(c{columns}) FROM {name}"

    def by_row():
        server.run("SET idla.batch_predict = off")
        seconds = server.time(predictions)
        server.run("SET idla.batch_predict = on")
        return seconds

    added, predicted, scanned, single, products = alternate(
        rounds, lambda: server.time(sums), lambda: server.time(predictions), lambda: server.time(deform), by_row,
        lambda: products_alone(rows, (columns, *widths, 1)))
    print(f"  a row: {1e9 * statistics.median(predicted) / rows:.0f} ns predicted, {1e9 * statistics.median(added) / rows:.0f} ns added up, "
          f"{1e9 * statistics.median(scanned) / rows:.0f} ns scanned, {1e9 * statistics.median(products) / rows:.0f} ns products alone (PyTorch)")
    ratio, spread = compare(predicted, added)
    verdict("time beside adding up the columns", ratio, 1.15, False, spread)
    ratio, spread = compare(predicted, [a + b for a, b in zip(scanned, products)])
    verdict("time beside scan and products alone", ratio, 1.6, False, spread)
    ratio, spread = compare(single, predicted)
    verdict("rows a second beside the row path", ratio, 2, True, spread)


def unneeded(server, cells, rounds):
    """Eight columns are needed of many: beside the same plan for a model that is a parameter, which passes all of them."""
    server.run("SET plan_cache_mode = force_generic_plan")
    for columns in (100, 400):
        rows = cells // columns
        name = f"of_{columns}"
        make_table(server, name, columns, rows)
        needed = ", ".join(f"c{i * columns // 8 + 1}" for i in range(8))
        train(server, f"{name}_mlp", f"SELECT id, {needed}, y FROM {name}_train", layers((64, 32)))
        server.run(f"CREATE TABLE IF NOT EXISTS {name}_keys AS SELECT g % {rows} + 1 AS id FROM generate_series(1, {2 * rows}) g")
        server.run(f"ANALYZE {name}_keys")
        costly = ", ".join(f"md5(c{i + 1}::text) AS text{i + 1}" for i in range(8))
        server.run(f"CREATE OR REPLACE VIEW {name}_view AS SELECT t.*, {costly}, count(*) OVER (PARTITION BY id % 10) AS n FROM {name} t")
        print(f"{name}: {rows} rows x {columns} columns, of which the network 8-64-32-1 needs 8", flush=True)
        for words, source in (("a scan", f"{name} t"), ("a sort below", f"(SELECT *, row_number() OVER (ORDER BY c2) AS n FROM {name}) t WHERE n > 0"),
                              ("a hash join below", f"{name}_keys JOIN {name} t USING (id)"), ("a view with costly columns", f"{name}_view t"),
                              ("row by row", f"{name} t WHERE CASE WHEN c2 > 1 THEN 1 ELSE idla_predict(MODEL, t) END > 0")):
            query = f"SELECT {'count(*)' if 'MODEL' in source else 'sum(idla_predict(MODEL, t))'} FROM {source}"
            server.run("DEALLOCATE ALL")
            server.run(f"PREPARE few AS {query.replace('MODEL', repr(name + '_mlp'))}")
            server.run(f"PREPARE every(regclass) AS {query.replace('MODEL', '$1')}")
            few, every = alternate(rounds, lambda: server.time("EXECUTE few"), lambda: server.time(f"EXECUTE every('{name}_mlp')"))
            ratio, spread = compare(few, every)
            say(f"{words}: {1e9 * statistics.median(few) / rows:.0f} ns a row, time beside all columns", ratio, spread)
        server.run(f"DROP TABLE {name}, {name}_train, {name}_few, {name}_keys CASCADE")
    server.run("RESET plan_cache_mode")


def workers(server, rows, rounds):
    predictions = "SELECT sum(idla_predict('bench_mlp', t)) FROM bench t"
    for setting in ("parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0"):
        server.run(f"SET {setting}")

    def with_workers():
        server.run("SET max_parallel_workers_per_gather = 1")
        seconds = server.wall(predictions)
        server.run("SET max_parallel_workers_per_gather = 0")
        return seconds

    alone, together = alternate(rounds, lambda: server.wall(predictions), with_workers)
    ratio, spread = compare(alone, together)
    verdict(f"speed-up by one worker beside the leader ({os.cpu_count()} processors, load {os.getloadavg()[0]:.1f})", ratio, 1.8, True, spread)


class Net(torch.nn.Module):
    """The weights do not matter for speed."""

    def __init__(self, columns, widths):
        super().__init__()
        sizes = (columns, *widths)
        parts = []
        for a, b in zip(sizes, sizes[1:]):
            parts += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*parts, torch.nn.Linear(sizes[-1], 1), torch.nn.Sigmoid())

    def forward(self, x):
        return self.net(x)


def take_away(server, rows, rounds):
    """COPY out in binary, PyTorch over batches of the best size, COPY back into a table."""
    net = Net(30, (128, 64)).eval()
    torch.set_num_threads(1)
    columns = ", ".join(f"c{i + 1}" for i in range(30))

    def away():
        start = time.perf_counter()
        out = io.BytesIO()
        with server.connection.cursor().copy(f"COPY (SELECT {columns} FROM bench) TO STDOUT (FORMAT binary)") as copy:
            for block in copy:
                out.write(block)
        record = np.dtype([("n", ">i2")] + [x for i in range(30) for x in ((f"l{i}", ">i4"), (f"c{i}", ">f8"))])
        data = np.frombuffer(out.getbuffer()[19:-2], dtype=record)
        x = torch.from_numpy(np.stack([data[f"c{i}"].astype(np.float32) for i in range(30)], axis=1))
        with torch.inference_mode():
            answers = torch.cat([net(x[i:i + 4096]) for i in range(0, len(x), 4096)]).double().numpy().ravel()
        server.run("CREATE TEMP TABLE back (risk float8)")
        filled = np.empty(len(answers), dtype=[("n", ">i2"), ("l", ">i4"), ("v", ">f8")])
        filled["n"], filled["l"], filled["v"] = 1, 8, answers
        with server.connection.cursor().copy("COPY back FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + b"\0" * 8 + filled.tobytes() + b"\xff\xff")
        seconds = time.perf_counter() - start
        server.run("DROP TABLE back")
        return seconds

    def here():
        start = time.perf_counter()
        server.run("CREATE TEMP TABLE here AS SELECT idla_predict('bench_mlp', t) AS risk FROM bench t")
        seconds = time.perf_counter() - start
        server.run("DROP TABLE here")
        return seconds

    def here_in_two():
        server.run("SET max_parallel_workers_per_gather = 1")
        seconds = here()
        server.run("SET max_parallel_workers_per_gather = 0")
        return seconds

    inside, outside, in_two = alternate(rounds, here, away, here_in_two)
    ratio, spread = compare(outside, inside)
    verdict("rows a second beside COPY out, PyTorch and COPY back", ratio, 5, True, spread)
    # COPY's two ends work at the same time, the server's and the client's.
    ratio, spread = compare(outside, in_two)
    verdict("the same in two processes, as server and client are", ratio, 5, True, spread)


def procedural(server, rounds):
    """A PL/Python function that PyTorch answers row by row."""
    if not server.run("SELECT 1 FROM pg_available_extensions WHERE name = 'plpython3u'"):
        print("  PL/Python: not installed here, not measured")
        return
    server.run("CREATE EXTENSION IF NOT EXISTS plpython3u")
    paths = [p for p in sys.path if p.endswith("site-packages")]
    server.run(f"""CREATE OR REPLACE FUNCTION torch_risk(VARIADIC x float8[]) RETURNS float8 LANGUAGE plpython3u AS $$
if 'net' not in SD:
    import sys
    sys.path[:0] = {paths!r}
    import torch
    torch.set_num_threads(1)
    SD['torch'] = torch
    SD['net'] = torch.nn.Sequential(torch.nn.Linear(30, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1), torch.nn.Sigmoid()).eval()
torch = SD['torch']
with torch.inference_mode():
    return SD['net'](torch.tensor(x, dtype=torch.float32)).item()
$$""")
    columns = ", ".join(f"c{i + 1}" for i in range(30))
    some = 5000
    server.run("SELECT idla_predict('bench_mlp', t) FROM bench t LIMIT 1")
    theirs, ours = alternate(rounds, lambda: server.time(f"SELECT sum(torch_risk({columns})) FROM (SELECT * FROM bench LIMIT {some}) t") / some,
                             lambda: server.time("SELECT sum(idla_predict('bench_mlp', t)) FROM bench t") / server.rows)
    ratio, spread = compare(theirs, ours)
    verdict("rows a second beside PL/Python with PyTorch", ratio, 50, True, spread)


def pgbench(script, seconds, clients):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "script.sql")
        with open(path, "w", encoding="ascii") as file:
            file.write(script)
        out = subprocess.run(["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(int(seconds)), "-l",
                              f"--log-prefix={folder}/log", "-f", path], check=True, capture_output=True, text=True).stdout
        latencies = []
        for entry in os.listdir(folder):
            if entry.startswith("log"):
                with open(os.path.join(folder, entry), encoding="ascii") as file:
                    latencies += [int(line.split()[2]) for line in file]
    return float(re.search(r"tps = ([0-9.]+)", out).group(1)), float(np.percentile(latencies, 99))


def points(server, rows, rounds, seconds):
    server.run("CREATE UNIQUE INDEX IF NOT EXISTS bench_id ON bench (id)")
    server.run("ANALYZE bench")
    columns = ", ".join(f"c{i + 1}" for i in range(30))
    plain = f"\\set id random(1, {rows})\nSELECT {columns} FROM bench t WHERE id = :id;\n"
    predicted = f"\\set id random(1, {rows})\nSELECT idla_predict('bench_mlp', t) FROM bench t WHERE id = :id;\n"
    without, with_ = alternate(rounds, lambda: pgbench(plain, seconds, 8), lambda: pgbench(predicted, seconds, 8))
    ratio, spread = compare([a[0] for a in with_], [b[0] for b in without])
    verdict("transactions a second beside reading the row, 8 clients", ratio, 0.7, True, spread)
    ratio, spread = compare([a[1] for a in with_], [b[1] for b in without])
    verdict("99th percentile of latency beside reading the row", ratio, 1.5, False, spread)


def first_prediction(server, rounds):
    """Processor time of a new connection with a first prediction, beside one that only reads the row."""
    def connect(statement):
        with psycopg.connect(autocommit=True) as connection:
            connection.execute(statement).fetchall()
            with open(f"/proc/{connection.info.backend_pid}/schedstat", encoding="ascii") as file:
                return int(file.read().split()[0]) / 1e9

    for model in ("bench_mlp", "bench_tabm", "small_tabm"):
        made_of = server.run(f"SELECT card ->> 'architecture' FROM {model} WHERE chunk = 0")[0][0]
        with_, without = alternate(max(rounds, 5) * 4, lambda: connect(f"SELECT idla_predict('{model}', t) FROM bench t WHERE id = 7"),
                                   lambda: connect("SELECT c1 FROM bench t WHERE id = 7"))
        more = [1000 * (a - b) for a, b in zip(with_, without)]
        verdict(f"milliseconds of the first prediction in a new connection, {model} ({made_of})", statistics.median(more), 5, False, more)


def student(server, rounds):
    """What idla_distil makes of the default tabm, and what that keeps on rows that neither has seen."""
    server.run("DROP TABLE IF EXISTS bench_student")
    metrics = server.run("SELECT metric, teacher, student FROM idla_distil('bench_tabm', 'bench_student', 'bench_train')")
    made_of = server.run("SELECT card ->> 'architecture' FROM bench_student WHERE chunk = 0")[0][0]
    small, mlp = alternate(rounds, lambda: server.time("SELECT sum(idla_predict('bench_student', t)) FROM bench t"),
                           lambda: server.time("SELECT sum(idla_predict('bench_mlp', t)) FROM bench t"))
    ratio, spread = compare(small, mlp)
    verdict(f"time of its student ({made_of}) beside the MLP", ratio, 1.10, False, spread)
    print("  " + ", ".join(f"{metric} {teacher:.4f} becomes {after:.4f}" for metric, teacher, after in metrics), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of a pgbench run")
    parser.add_argument("--only", nargs="*", default=["scans", "shapes", "workers", "away", "procedural", "points", "first", "tabm", "student", "unneeded"])
    arguments = parser.parse_args()
    server = Server()
    server.rows = arguments.rows
    server.run("CREATE EXTENSION IF NOT EXISTS idla")
    print(f"{platform.machine()}, {os.cpu_count()} processors, PyTorch {torch.__version__}, {server.run('SELECT version()')[0][0]}", flush=True)
    if "unneeded" in arguments.only:
        unneeded(server, 20 * arguments.rows, arguments.rounds)
    if arguments.only == ["unneeded"]:
        return
    scans(server, SHAPES[0], arguments.rows, arguments.rounds)
    if "workers" in arguments.only:
        workers(server, arguments.rows, arguments.rounds)
    if "away" in arguments.only:
        take_away(server, arguments.rows, max(arguments.rounds // 2, 1))
    if "procedural" in arguments.only:
        procedural(server, max(arguments.rounds // 2, 1))
    train(server, "bench_tabm", "bench_train", "tabm")
    train(server, "small_tabm", "bench_few", "tabm")
    if "points" in arguments.only:
        points(server, arguments.rows, max(arguments.rounds // 2, 1), arguments.seconds)
    if "first" in arguments.only:
        first_prediction(server, arguments.rounds)
    if "tabm" in arguments.only:
        some = f"FROM bench t WHERE id <= {arguments.rows // 10}"
        tabm, mlp = alternate(max(arguments.rounds // 2, 1), lambda: server.time(f"SELECT sum(idla_predict('bench_tabm', t)) {some}"),
                              lambda: server.time(f"SELECT sum(idla_predict('bench_mlp', t)) {some}"))
        ratio, spread = compare(tabm, mlp)
        say("time of the default tabm of 30,000 rows (one network) beside the MLP", ratio, spread)
    if "student" in arguments.only:
        student(server, arguments.rounds)
    if "shapes" in arguments.only:
        for shape in SHAPES[1:]:
            scans(server, shape, arguments.rows // 2, arguments.rounds)
    print(f"{missed} bars missed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
