"""idla's answers beside those of its ONNX files, of models that read signals, patients' series, texts and tokens.

    make check-onnx

Signals are given to onnxruntime as they were recorded: with gaps, of unequal lengths, at their own rate; series as bins that are filled here;
texts as the pieces that the tokenizers library makes of them with the vocabulary in the file's metadata; tokens as numbers by the lexicon there.
All answers and embeddings are compared to 1e-5, the ends of a tagger's entities exactly. A tenth of the rows has no signal and no text. A gru and
convolutions are computed by PyTorch as well. Needs onnxruntime, onnx, tokenizers, safetensors, torch and psycopg.
"""

import json
import sys
import unicodedata

import numpy as np
import onnx
import onnxruntime
import psycopg
import safetensors.torch
import torch
from psycopg.types.json import Jsonb
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from check_onnx import answers, check, check_embedding, onnx_answers

OPTIONS = {"epochs": 2, "seed": 1, "threads": 1}


def train(connection, name, source, target, task, architecture, options):
    """The model's ONNX file."""
    connection.execute("SELECT idla_train(%s, %s, %s, %s, %s, %s)", (name, source, target, task, architecture, Jsonb({**OPTIONS, **options})))
    return connection.execute("SELECT idla_export(%s, 'onnx')", (name,)).fetchone()[0]


def compare(connection, name, file, target, task, table, columns, failures):
    found, notes = onnx_answers(file, columns)
    mine = answers(connection, name, target, task, table)
    check(f"{name}", mine, found["probabilities" if target in ("grade", "old,sick") and task is None else "prediction"], failures)
    check_embedding(connection, name, table, found["embedding"], failures)
    # One row alone, and all together: the first axis may be of any size
    graph = onnx.load_from_string(file).graph
    used = {name for node in graph.node for name in node.input} | {name for node in graph.node for a in node.attribute if a.HasField("g") for inner in a.g.node for name in inner.input}
    failures += [f"{name}: constant {constant.name} is nobody's" for constant in graph.initializer if constant.name not in used]
    one, _ = onnx_answers(file, {key: value[5:6] for key, value in columns.items()})
    if np.abs(one["embedding"] - found["embedding"][5:6]).max() > 1e-4 * max(1, np.abs(one["embedding"]).max()):
        failures.append(f"{name}, one row")
    return notes


# ---- Signals ----

RECORDINGS = """CREATE TABLE recordings AS SELECT i AS id, 20 + i %% 50 AS age, i %% 3 = 0 AS sick, i %% 2 = 0 AS old, (ARRAY['a', 'b', 'c'])[1 + i %% 3] AS grade,
    10.0 * (i %% 3) + i %% 7 AS cost, 1 + i * 7919 %% 400 AS days, i * 31 %% 3 > 0 AS died,
    CASE WHEN i %% 10 <> 7 THEN (SELECT array_agg(CASE WHEN (i * 13 + t * 7) %% 23 <> 5 AND NOT (i %% 11 = 4 AND t < 4) THEN
        (sin((1 + i %% 3) * t * 0.3 + i) * 2 + 0.3 * sin(i * 7 + t * 3.3) + i %% 5)::real END ORDER BY t) FROM generate_series(1, %(first)s + i * 37 %% %(more)s) t) END AS wave,
    (SELECT array_agg(one ORDER BY lead) FROM (SELECT lead, array_agg(CASE WHEN (i + t * lead) %% 17 <> 3 THEN (cos((1 + i %% 2) * t * 0.2 * lead) + lead + i %% 4)::real END ORDER BY t) AS one
        FROM generate_series(1, 3) lead, generate_series(1, 25 + i * 11 %% 30) t GROUP BY lead) l) AS leads
    FROM generate_series(1, 150) i"""

# name: columns, target, task, architecture, options
SIGNALS = {
    "wave_fcn": ("wave", "sick", None, "fcn", {"width": 8}),
    "wave_lstm": ("wave, age", "sick", None, "lstm", {"width": 8, "depth": 2}),
    "wave_gru": ("leads", "grade", None, "gru", {"width": 8, "columns": {"leads": {"length": 40, "part": "end"}}}),
    "wave_transformer": ("wave", "cost", None, "transformer", {"width": 32, "depth": 2}),
    "wave_time": ("leads", "sick", None, "transformer", {"width": 32, "depth": 1, "positions": "time"}),
    "wave_learned": ("leads", "", "survival", "transformer", {"width": 32, "depth": 1, "positions": "learned", "time": "days", "event": "died"}),
    "wave_rocket": ("wave", "sick", None, "rocket", {}),
    "wave_rocket_leads": ("leads", "grade", None, "rocket", {"columns": {"leads": {"length": 30}}}),
    "wave_slower": ("wave, leads", "old,sick", "multilabel", "fcn", {"width": 8, "columns": {"wave": {"rate": 250, "to_rate": 100, "length": 30}, "leads": {"rate": 50, "to_rate": 60}}}),
    "wave_itself": ("wave", "sick", None, "gru", {"width": 8, "columns": {"wave": {"normalize": "signal", "length": 40, "part": "start"}}}),
    "wave_together": ("leads, age", "sick", None, "fcn", {"width": 8, "columns": {"leads": {"normalize": "together"}}}),
    "wave_layers": ("wave", "sick", None, "pad(1) conv(8, 5, 2) group_norm(2) relu max_pool(2) conv(8, 3) average_pool(2) batch_norm gelu lstm(8) global_max dense(8) relu", {}),
    "wave_more_layers": ("leads", "sick", None, "dense(16) sinusoid attention(2) bigru(4) conv(8) mish last", {}),
    "wave_flat": ("leads", "sick", None, "conv(6) relu flatten dense(8) tanh", {"columns": {"leads": {"length": 20}}}),
    "wave_folds": ("wave", "sick", None, "fcn", {"width": 8, "folds": 2, "class_weights": "balanced"}),
    "wave_windows": ("wave, age", "sick", None, "fcn", {"width": 8, "columns": {"wave": {"window": 20, "stride": 12}}}),
    "wave_windows_classes": ("wave, leads", "grade", None, "gru", {"width": 8, "class_weights": "balanced",
                                                                  "columns": {"wave": {"window": 16, "stride": 16}, "leads": {"window": 20, "stride": 9}}}),
    "wave_windows_values": ("wave, leads", "cost", None, "fcn", {"width": 8, "columns": {"wave": {"window": 16}}}),
    "wave_windows_rocket": ("wave", "sick", None, "rocket", {"columns": {"wave": {"window": 25, "stride": 10}}}),
}


def signal(rows, place):
    """(rows, samples, leads) and lengths: SQL has the leads first."""
    values = [None if row[place] is None else np.atleast_2d(np.array([[np.nan if x is None else x for x in lead] for lead in
                                                                     (row[place] if isinstance(row[place][0], list) else [row[place]])], dtype=np.float32)) for row in rows]
    leads = max(value.shape[0] for value in values if value is not None)
    longest = max(value.shape[1] for value in values if value is not None)
    # What stands behind a signal's end is nothing to the answer
    samples = np.full((len(rows), longest, leads), 77, dtype=np.float32)
    for i, value in enumerate(values):
        if value is not None:
            samples[i, :value.shape[1]] = value.T
    return samples, np.array([[0 if value is None else value.shape[1]] for value in values], dtype=np.int64)


def check_signals(connection, failures):
    connection.execute(RECORDINGS, {"first": 30, "more": 40})
    rows = connection.execute("SELECT age, wave, leads FROM recordings ORDER BY id").fetchall()
    columns = {"age": np.array([[row[0]] for row in rows], dtype=np.float32)}
    columns["wave"], columns["wave.length"] = signal(rows, 1)
    columns["leads"], columns["leads.length"] = signal(rows, 2)
    for name, (inputs, target, task, architecture, options) in SIGNALS.items():
        source = f"SELECT {inputs}, {target or 'days, died'} FROM recordings"
        file = train(connection, name, source, target or None, task, architecture, options)
        compare(connection, name, file, target, None if task == "multilabel" else task, "recordings", columns, failures)
    # Equal lengths: every second kernel of rocket leaves out what padding has a part in
    connection.execute("CREATE TABLE equal AS SELECT id, sick, wave[1:30] AS wave FROM recordings WHERE id % 10 <> 7")
    rows = connection.execute("SELECT wave FROM equal ORDER BY id").fetchall()
    columns["wave"], columns["wave.length"] = signal(rows, 0)
    file = train(connection, "wave_equal", "SELECT wave, sick FROM equal", "sick", None, "rocket", {"columns": {"wave": "signal"}})
    compare(connection, "wave_equal", file, "sick", None, "equal", columns, failures)
    # NaN all over is NULL too
    missing, _ = onnx_answers(file, {"wave": np.full((2, 9, 1), np.nan, np.float32), "wave.length": np.array([[9], [0]])})
    null = connection.execute("SELECT idla_predict('wave_equal', r) FROM (SELECT NULL::real[] AS wave) r").fetchone()[0]
    check("wave_equal of NULL", np.full((2, 1), null), missing["prediction"], failures)
    check_torch(connection, failures)


def check_torch(connection, failures):
    """A gru and convolutions by PyTorch, from the tensors of the safetensors file and the numbers of its manifest."""
    rows = connection.execute("SELECT wave FROM equal ORDER BY id").fetchall()
    waves, lengths = signal(rows, 0)
    connection.execute("CREATE TABLE whole AS SELECT id, sick, array_agg(coalesce(x, 0) ORDER BY n) AS wave FROM equal, unnest(wave) WITH ORDINALITY w(x, n) GROUP BY 1, 2")
    waves = torch.from_numpy(np.nan_to_num(waves))
    for name, architecture in (("torch_gru", "gru"), ("torch_fcn", "fcn")):
        onnx_file = train(connection, name, "SELECT wave, sick FROM whole", "sick", None, architecture, {"width": 8, "depth": 1, "folds": 1, "columns": {"wave": "signal"}})
        file = connection.execute("SELECT idla_export(%s)", (name,)).fetchone()[0]
        tensors = {key: value.float() for key, value in safetensors.torch.load(file).items()}
        manifest = json.loads(json.loads(file[8:8 + int.from_bytes(file[:8], "little")])["__metadata__"]["idla.manifest"])
        field = manifest["fields"][0]
        x = (waves - torch.tensor(field["center"])) * torch.tensor(field["scale"])
        part = {key.removeprefix("net0/field0.layer0."): value for key, value in tensors.items()}
        with torch.no_grad():
            if architecture == "gru":
                gru = torch.nn.GRU(1, 8, batch_first=True, bidirectional=True)
                for side, suffix in (("", ""), ("backward.", "_reverse")):
                    getattr(gru, "weight_ih_l0" + suffix).copy_(part[side + "weights"].T)
                    getattr(gru, "weight_hh_l0" + suffix).copy_(part[side + "hidden"].T)
                    getattr(gru, "bias_ih_l0" + suffix).copy_(part[side + "bias"])
                    getattr(gru, "bias_hh_l0" + suffix).copy_(torch.cat([torch.zeros(16), part[side + "bias_hidden"]]))
                states, last = gru(x)
                x = torch.cat([last[0], last[1], states.mean(1)], dim=1)
            else:
                x = torch.nn.functional.pad(x.transpose(1, 2), (3, 4))
                x = torch.nn.functional.conv1d(x, part["convolution.weights"].permute(2, 1, 0))
                x = torch.nn.functional.batch_norm(x, part["norm.mean"], part["norm.variance"], part["norm.gain"], part["norm.bias"])
                x = torch.relu(x).mean(2)
            logit = (x @ tensors["net0/head.weights"] + tensors["net0/head.bias"]).double() / manifest["temperature"] + (manifest.get("offset") or [0])[0]
            theirs = torch.sigmoid(logit).numpy()
        mine = answers(connection, name, "sick", None, "whole")
        check(f"{name} by torch", mine, theirs, failures)
        found, _ = onnx_answers(onnx_file, {"wave": waves.numpy(), "wave.length": lengths})
        check(f"{name} by torch, of ONNX", theirs, found["prediction"], failures)


# ---- Series ----

EVENTS = """CREATE TABLE events AS SELECT p AS patient, 40 + p % 50 AS age, h * 0.9 AS hour, CASE WHEN (p + h) % 3 > 0 THEN 70 + 10 * (p % 3) + (h * p) % 7 END AS hr,
    CASE WHEN h % 5 = p % 4 THEN 7.2 + (p % 5) * 0.05 + h * 0.001 END AS ph, CASE WHEN p % 6 = 0 AND h = 2 THEN 3.5 END AS lactate,
    20.0 + p % 3 AS at, p % 3 = 0 AS sick FROM generate_series(1, 150) p, generate_series(0, 20) h WHERE p % 13 <> 5 OR h > 20 - p % 7"""

SERIES = {
    "series_gru": ("gru", {"width": 8, "series": {"use": "bins", "bins": 12, "static": ["age"]}}),
    "series_fcn": ("fcn", {"width": 8, "series": {"use": "bins", "bins": 12, "average": False, "static": ["age"]}}),
    "series_transformer": ("transformer", {"width": 32, "depth": 1, "positions": "time", "series": {"use": "bins", "bins": 12, "static": ["age"]}}),
    "series_both": ("gru", {"width": 8, "series": {"use": "both", "bins": 12, "static": ["age"]}}),
    "series_summary": ("mlp", {"series": {"use": "summary", "static": ["age"]}}),
}


def bins_of(plan, channels, events, at):
    """As the documentation says: bins hold their beginning; what came before the window is known by its last value and age in bins."""
    n, start, width = plan["bins"], plan["start"], plan["width"]
    cells = [[[] for _ in channels] for _ in range(n)]
    before = [None] * len(channels)
    for hour, values in sorted(events):
        place = (hour - at - start) / width
        for channel, value in enumerate(values):
            if value is None or hour > at:
                continue
            if place < 0:
                before[channel] = (value, -place)
            elif place <= n * (1 + 1e-9):
                cells[min(int(place), n - 1)][channel].append(value)
    mean = (lambda seen: np.mean(seen)) if plan["average"] else (lambda seen: seen[-1])
    return ([[np.nan if not seen else mean(seen) for seen in row] for row in cells], [np.nan if b is None else b[0] for b in before],
            [np.nan if b is None else b[1] for b in before])


def statistics_of(plan, channel, events, at):
    seen = [(hour - at, values[channel]) for hour, values in sorted(events) if values[channel] is not None and plan["start"] <= hour - at <= 0]
    if not seen:
        return [0] + [np.nan] * 8
    hours, values = np.array([s[0] for s in seen], float), np.array([s[1] for s in seen], float)
    slope = np.nan if hours.min() == hours.max() else ((hours - hours.mean()) * (values - values.mean())).sum() / ((hours - hours.mean()) ** 2).sum()
    return [len(seen), values.mean(), values.min(), values.max(), values[0], values[-1], slope, hours[-1], np.nan if len(seen) < 2 else values.std()]


def check_series(connection, failures):
    connection.execute(EVENTS)
    patients = connection.execute("SELECT DISTINCT patient, age::float8, at::float8 FROM events ORDER BY 1").fetchall()
    events = {patient: [] for patient, _, _ in patients}
    for patient, hour, hr, ph, lactate in connection.execute("SELECT patient, hour::float8, hr::float8, ph::float8, lactate::float8 FROM events"):
        # In single precision, as idla has them: a deviation of nearly equal values is mostly what they were rounded by
        events[patient].append((hour, [None if value is None else float(np.float32(value)) for value in (hr, ph, lactate)]))
    for name, (architecture, options) in SERIES.items():
        options = {"entity": "patient", "time": "hour", "label_at": "at", "folds": 1, **options}
        file = train(connection, name, "SELECT * FROM events", "sick", None, architecture, options)
        series = connection.execute(f"SELECT manifest->'series' FROM {name} WHERE chunk = 0").fetchone()[0]
        plan = {"bins": series["bins"], "start": -series["width"] * series["bins"], "width": series["width"], "average": series["average"]}
        channels = [channel["name"] for channel in series["channels"]]
        order = [("hr", "ph", "lactate").index(channel) for channel in channels]
        columns = {"age": np.array([[age] for _, age, _ in patients], dtype=np.float32)}
        own = {patient: [(hour, [values[i] for i in order]) for hour, values in events[patient]] for patient, _, _ in patients}
        binned = [bins_of(plan, channels, own[patient], at) for patient, _, at in patients]
        for suffix, part in (("", 0), (".before", 1), (".age", 2)):
            columns[f"series{suffix}"] = np.array([row[part] for row in binned], dtype=np.float32)
        for i, channel in enumerate(channels):
            columns[channel] = np.array([statistics_of(plan, i, own[patient], at) for patient, _, at in patients], dtype=np.float32)
        found, notes = onnx_answers(file, columns)
        if "series.channels" in notes and json.loads(notes["series.channels"]) != channels:
            failures.append(f"{name}, channels")
        mine = np.array(connection.execute(f"SELECT idla_predict_series('{name}', e) FROM events e GROUP BY patient ORDER BY patient").fetchall(), dtype=float)
        check(name, mine, found["prediction"], failures)
        mine = np.array([row[0] for row in connection.execute(f"SELECT idla_embed_series('{name}', e) FROM events e GROUP BY patient ORDER BY patient")])
        scale = np.maximum(1, np.abs(mine).max(axis=1, keepdims=True))
        check(f"{name} embedding", mine / scale, found["embedding"] / scale, failures)


# ---- Texts ----

NOTES = """CREATE TABLE notes AS SELECT i AS id, i % 3 = 0 AS sick, (ARRAY['a', 'b', 'c'])[1 + i % 3] AS grade, 40 + i % 37 AS age, CASE WHEN i % 10 <> 7 THEN
    format('Seen on day %s. The patient, a %s, %s %s since %s days; naïve Éclair-%s.', i % 11, (ARRAY['teacher', 'farmer', 'nurse', 'cook', 'driver'])[1 + i % 5],
    CASE WHEN i % 3 = 0 THEN (ARRAY['reports haemorrhage', 'bled again', 'has epistaxis'])[1 + i / 3 % 3] ELSE (ARRAY['feels well', 'has no complaints', 'came for a certificate'])[1 + i / 3 % 3] END,
    (ARRAY['at home', 'at work', 'abroad'])[1 + i % 3 * 5 % 3], i % 17, i) END AS note,
    (SELECT array_agg((sin((1 + i % 3) * t * 0.3))::real ORDER BY t) FROM generate_series(1, 20 + i % 9) t) AS wave,
    (SELECT array_agg(line ORDER BY y) FROM (SELECT y, array_agg((sin(i * x * 0.7) * cos(y * i * 0.3) * 5)::real ORDER BY x) AS line
        FROM generate_series(1, 12) y, generate_series(1, 10) x GROUP BY y) l) AS scan FROM generate_series(1, 200) i"""

TEXTS = {
    "note_bag": ("note", "sick", "bag", {}),
    "note_cnn": ("note", "grade", "cnn", {"width": 16}),
    "note_fcn": ("note, age", "sick", "fcn", {"width": 8}),
    "note_lstm": ("note", "sick", "lstm", {"width": 8}),
    "note_gru": ("note", "sick", "gru", {"width": 8, "columns": {"note": {"kind": "text", "lowercase": False, "length": 8}}}),
    "note_transformer": ("note, age", "sick", "transformer", {"width": 32, "depth": 2, "columns": {"note": {"kind": "text", "length": 9, "truncate": "start"}}}),
    "note_middle": ("note", "sick", "bag", {"columns": {"note": {"kind": "text", "length": 7, "truncate": "middle"}}}),
    "note_layers": ("note", "sick", "dropout(0.1) bilstm(8) attention(2) global_mean", {}),
    "mixed": ("note, age, wave, scan", "sick", "auto", {"columns": {"scan": "image", "wave": "signal"}}),
    "mixed_windows": ("note, wave, age, scan", "grade", "gru", {"columns": {"wave": {"kind": "signal", "window": 9, "stride": 4}, "scan": "image"}, "folds": 2}),
    "mixed_tabm": ("note, age, wave", "sick", "tabm", {"columns": {"wave": "signal"}}),
    "mixed_transformer": ("note, age, wave", "grade", "transformer", {"width": 32, "depth": 1, "columns": {"wave": "signal"}}),
}


def pieces(notes, column, texts):
    """By the tokenizers library, from nothing but the metadata."""
    settings = json.loads(notes[f"{column}.tokenizer"])
    vocabulary = {piece: number for number, piece in enumerate(notes[f"{column}.vocabulary"].splitlines())}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=settings["unknown"], max_input_chars_per_word=settings["longest_word"]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=settings["lowercase"], strip_accents=settings["lowercase"])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    most, keep = settings["max_tokens"], settings["keep"]
    rows = []
    for text in texts:
        ids = [] if text is None else tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) > most:
            head = {"head": most, "tail": 0, "both": most - most // 2}[keep]
            ids = ids[:head] + ids[len(ids) - (most - head):]
        rows.append(ids)
    longest = max(map(len, rows))
    return (np.array([ids + [0] * (longest - len(ids)) for ids in rows], dtype=np.int64),
            np.array([[1] * len(ids) + [0] * (longest - len(ids)) for ids in rows], dtype=np.int64))


def check_texts(connection, failures):
    connection.execute(NOTES)
    rows = connection.execute("SELECT age, note, wave, scan FROM notes ORDER BY id").fetchall()
    columns = {"age": np.array([[row[0]] for row in rows], dtype=np.float32), "scan": np.array([row[3] for row in rows], dtype=np.float32)[..., None]}
    columns["wave"], columns["wave.length"] = signal(rows, 2)
    for name, (inputs, target, architecture, options) in TEXTS.items():
        file = train(connection, name, f"SELECT {inputs}, {target} FROM notes", target, None, architecture, options)
        notes = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map
        columns["note"], columns["note.mask"] = pieces(notes, "note", [row[1] for row in rows])
        compare(connection, name, file, target, None, "notes", columns, failures)


# ---- Taggers ----

SENTENCES = """CREATE TABLE sentences AS SELECT i AS id, ARRAY['Case', i::text, 'of', 'ward', chr(65 + i % 7) || i % 5, 'had', d.word, d.more, 'and', 'took', m.word, '.'] AS tokens,
    ARRAY['O', 'O', 'O', 'O', 'O', 'O', d.tag, CASE WHEN d.tag = 'O' THEN 'O' ELSE 'I-Disease' END, 'O', 'O', m.tag, 'O'] AS tags FROM generate_series(1, 300) i,
    LATERAL (SELECT (ARRAY['nephritis', 'Carditis', 'ASTHMA', 'nothing'])[1 + i % 4], (ARRAY['acuta', 'major'])[1 + i % 2], (ARRAY['B-Disease', 'B-Disease', 'B-Disease', 'O'])[1 + i % 4]) d(word, more, tag),
    LATERAL (SELECT (ARRAY['aspirin', 'heparin', 'leave'])[1 + i / 4 % 3], (ARRAY['B-Drug', 'B-Drug', 'O'])[1 + i / 4 % 3]) m(word, tag)"""

TAGGERS = {
    "tagger_lstm": ("bilstm_crf", {"width": 16, "rate": 0.01, "epochs": 8}),
    "tagger_gru": ("gru", {"width": 16, "rate": 0.01, "epochs": 8, "folds": 2}),
    "tagger_transformer": ("transformer", {"width": 32, "depth": 1, "epochs": 8}),
    "tagger_layers": ("dropout(0.2) bigru(12)", {"rate": 0.01, "epochs": 8}),
    "tagger_layers_crf": ("bilstm(8) dense(8) relu crf", {"rate": 0.01, "epochs": 8}),
}
# Words nobody has seen, of one letter, longer than the characters, and of other scripts
STRANGE = [["Case", "7", "had", "nephritis", "acuta", "."], ["Éva", "took", "Heparin", "x" * 90, "日本", "p53", "mRNA", "A", "(", "ASTHMA"], ["carditis"], ["asthma", "major"] * 6]


def shape_of(word, shapes):
    """The names of the list, by the categories of Unicode."""
    kinds = [unicodedata.category(c) for c in word]
    upper, lower = sum(k in ("Lu", "Lt") for k in kinds), kinds.count("Ll")
    digits, caseless = sum(k in ("Nd", "Nl", "No") for k in kinds), sum(k in ("Lm", "Lo") for k in kinds)
    if not upper and not lower:
        name = "caseless" if caseless else "digits" if digits else "punctuation"
    elif digits:
        name = "upper_digits" if not lower else "lower_digits" if not upper else "mixed_digits"
    elif not upper:
        name = "lower"
    elif not lower:
        name = "upper" if upper > 1 else "initial"
    else:
        name = "title" if kinds[0] in ("Lu", "Lt") and upper == 1 else "mixed"
    return shapes.index(name)


def lexicon_codes(notes, column, sentences):
    """From nothing but the metadata."""
    settings = json.loads(notes[f"{column}.tokenizer"])
    tables = {name: {entry: number + settings["first"] for number, entry in enumerate(json.loads(notes[f"{column}.{name}"]))} for name in
              ("words", "characters", "prefix2", "prefix3", "prefix4", "suffix2", "suffix3", "suffix4")}
    shapes = json.loads(notes[f"{column}.shapes"])
    unknown, most = settings["unknown"], settings["characters"]
    longest = max(map(len, sentences))

    def spelled(word):
        letters = list(word) if len(word) <= most else list(word[:most - most // 2]) + list(word[len(word) - most // 2:])
        return [tables["characters"].get(c, unknown) for c in letters] + [0] * (most - len(letters))

    def code(word):
        word = word[:settings["longest_word"]]
        form = "".join("0" if unicodedata.category(c) == "Nd" else c.lower() for c in word)
        affixes = [tables[f"prefix{n}"].get(form[:n], unknown) for n in (2, 3, 4)] + [tables[f"suffix{n}"].get(form[-n:], unknown) for n in (2, 3, 4)]
        return tables["words"].get(form, unknown), shape_of(word, shapes), affixes, spelled(word)

    blank = (0, 0, [0] * 6, [0] * most)
    coded = [[code(word) for word in words] + [blank] * (longest - len(words)) for words in sentences]
    columns = {f"{column}.{name}": np.array([[token[i] for token in row] for row in coded], dtype=np.int64) for i, name in
               enumerate(("words", "shapes", "affixes", "characters"))}
    columns[f"{column}.mask"] = np.array([[1] * len(words) + [0] * (longest - len(words)) for words in sentences], dtype=np.int64)
    return columns


def entities_of(tags, certainty):
    """(first token, last token, label, score) of well-formed IOBES."""
    found, first = [], 0
    for i, tag in enumerate(tags):
        if tag[0] in "BS":
            first = i
        if tag[0] in "ES":
            found.append((first, i, tag[2:], min(certainty[first:i + 1])))
    return found


def check_taggers(connection, failures):
    connection.execute(SENTENCES)
    sentences = [row[0] for row in connection.execute("SELECT tokens FROM sentences WHERE id <= 60 ORDER BY id")] + STRANGE
    for name, (architecture, options) in TAGGERS.items():
        file = train(connection, name, "SELECT tokens, tags FROM sentences", "tags", None, architecture, options)
        notes = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map
        found, _ = onnx_answers(file, lexicon_codes(notes, "tokens", sentences))
        scores = ([], [])
        good = True
        for i, words in enumerate(sentences):
            theirs = entities_of([notes[f"tag.{code}"] for code in found["tags"][i][:len(words)]], found["certainty"][i])
            mine = connection.execute("""SELECT start, "end", label, score FROM idla_tag(%s, %s::text[])""", (name, words)).fetchall()
            good = good and [tuple(row[:3]) for row in mine] == [(first, last + 1, label) for first, last, label, _ in theirs]
            if len(mine) == len(theirs):
                scores[0].extend(row[3] for row in mine)
                scores[1].extend(score for *_, score in theirs)
        good = good and bool((found["tags"][2, len(sentences[2]):] == -1).all()) and len(scores[0]) > 0
        failures += [] if good else [name]
        print(f"{'ok    ' if good else 'not ok'} {name:26} {len(scores[0])} entities of {len(sentences)} sentences", flush=True)
        check(f"{name} score", np.array(scores[0])[:, None], np.array(scores[1])[:, None], failures)


def main():
    onnxruntime.set_default_logger_severity(3)
    connection = psycopg.connect(autocommit=True)
    connection.execute("SET client_min_messages = error")
    connection.execute("CREATE EXTENSION IF NOT EXISTS idla")
    failures = []
    kinds = {"signals": check_signals, "series": check_series, "texts": check_texts, "taggers": check_taggers}
    for kind in sys.argv[1:] or kinds:
        kinds[kind](connection, failures)
    if failures:
        sys.exit(f"not alike: {', '.join(failures)}")


if __name__ == "__main__":
    main()
