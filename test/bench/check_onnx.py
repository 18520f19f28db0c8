"""idla's answers beside those of its exported files: ONNX by onnxruntime, safetensors by PyTorch, and models from PyTorch by idla.

    make check-onnx

Trains every kind of model that can be exported on rows with every kind of column, missing values and unknown categories among them,
exports each and compares all answers and embeddings: probabilities and hazard ratios to 1e-5, regression values to 1e-5 of their spread. Weights of an
mlp are read with the safetensors library and pushed through PyTorch, from the preprocessing that the manifest tells. An mlp made in
PyTorch is saved, imported with a mapping, and compared likewise. Needs onnxruntime, onnx, safetensors, torch and psycopg.
"""

import json
import struct
import sys

import numpy as np
import onnx
import onnxruntime
import psycopg
import safetensors.numpy
import safetensors.torch
import torch
from psycopg.types.json import Jsonb

BAR = 1e-5
ROWS = """CREATE TABLE patients AS SELECT i AS id, 20 + i * 37 % 60 + (i % 10) / 10.0::float8 AS age,
    CASE WHEN i % 13 <> 0 THEN (ARRAY['f', 'm', E'x"\\\\\\u00e9'])[1 + i % 3] END AS sex,
    CASE WHEN i % 7 <> 0 THEN exp((i * 7919 % 1000) / 200.0) END AS lab, date '2020-01-01' + i * 17 % 600 AS seen,
    'w' || i * 7 % 30 AS ward, ARRAY[i % 5, i % 3, i % 17]::float8[] AS arr, i % 2 = 0 AS smoker,
    i * 37 % 50 + i * 17 % 20 > 34 AS sick, 1e5 + i * 37 % 50 + i * 17 % 20 AS cost, 3.0 * (i * 37 % 50) - i % 11 AS stay,
    (ARRAY['a', 'b', 'c', 'd'])[1 + (i * 37 % 50 + i % 7) / 15] AS grade, 1 + i * 7919 % 400 AS days, i * 31 % 3 > 0 AS died
    FROM generate_series(1, 900) i"""
INPUTS = "age, sex, lab, seen, ward, arr, smoker"
# The same rows with categories nobody has seen and infinite values
ODD = f"""CREATE TABLE odd AS SELECT id, age, CASE WHEN id % 5 = 0 THEN 'unheard' ELSE sex END AS sex,
    CASE WHEN id % 9 = 0 THEN 'Infinity'::float8 WHEN id % 11 = 0 THEN lab * 1e6 ELSE lab END AS lab, seen,
    CASE WHEN id % 4 = 0 THEN NULL ELSE ward END AS ward, arr, smoker FROM patients"""
LAYERS = "dense(32) batch_norm relu dropout(0.1) dense(24) layer_norm gelu dense(16) silu dense(16) mish dense(12) selu dense(8) tanh"

# name: target, task, architecture, options
MODELS = {
    "linear": ("sick", None, "linear", {}),
    "mlp": ("sick", None, "mlp", {"folds": 1}),
    "resnet": ("sick", None, "resnet", {}),
    "tabm": ("sick", None, "tabm", {}),
    "nam": ("sick", None, "nam", {}),
    "layers": ("sick", None, LAYERS, {}),
    "classes": ("grade", None, "tabm", {}),
    "classes_mlp": ("grade", None, "mlp", {}),
    "values": ("cost", None, "tabm", {}),
    "two_values": ("cost,stay", None, "mlp", {}),
    "survival": ("", "survival", "mlp", {"time": "days", "event": "died"}),
    "labels": ("sick,smoked", "multilabel", "tabm", {}),
    "piecewise": ("sick", None, "mlp", {"embedding": "piecewise"}),
    "periodic": ("sick", None, "tabm", {"embedding": "periodic"}),
    "standard": ("sick", None, "mlp", {"scaling": "standard"}),
    "quantile": ("sick", None, "mlp", {"scaling": "quantile"}),
    "blend": ("sick", None, "tabm", {"linear": True}),
    "weighted": ("sick", None, "mlp", {"class_weights": "balanced"}),
}


def features(connection, table):
    """The columns as the exported model takes them."""
    rows = connection.execute(f"""SELECT age, sex, lab::float8, seen - date '2000-01-01', extract(month FROM seen)::int, extract(isodow FROM seen)::int - 1,
        ward, arr, smoker::int FROM {table} ORDER BY id""").fetchall()

    def number(place):
        return np.array([[np.nan if row[place] is None else row[place]] for row in rows], dtype=np.float32)

    def text(place):
        return np.array([["\\N" if row[place] is None else row[place]] for row in rows], dtype=object)

    seen = np.concatenate([number(3), number(4), number(5)], axis=1)
    return {"age": number(0), "sex": text(1), "lab": number(2), "seen": seen, "ward": text(6),
            "arr": np.array([row[7] for row in rows], dtype=np.float32), "smoker": number(8)}


def answers(connection, model, target, task, table):
    """What idla says: (rows, answers), in the order of classes or targets."""
    if task is None and target == "sick" or task == "survival":
        query = f"SELECT idla_predict('{model}', t) FROM {table} t ORDER BY id"
        return np.array(connection.execute(query).fetchall(), dtype=float)
    if target in ("cost", "cost,stay"):
        values = ", ".join(f"idla_predict('{model}', t, output => '{name}')" for name in target.split(","))
        return np.array(connection.execute(f"SELECT {values} FROM {table} t ORDER BY id").fetchall(), dtype=float)
    found = connection.execute(f"SELECT idla_probabilities('{model}', t) FROM {table} t ORDER BY id").fetchall()
    return np.array([[value for _, value in sorted(row[0].items())] for row in found], dtype=float)


def check(name, mine, theirs, failures):
    spread = max(1.0, float(np.std(mine))) if name in ("values", "two_values") else 1.0
    worst = float(np.max(np.abs(mine - theirs) / np.maximum(1, np.abs(mine) if name == "survival" else 1))) / spread
    good = mine.shape == theirs.shape and worst <= BAR
    failures += [] if good else [name]
    print(f"{'ok    ' if good else 'not ok'} {name:26} {mine.shape[0]} rows x {mine.shape[1]}, largest difference {worst:.1e}", flush=True)


def check_embedding(connection, model, table, theirs, failures):
    """In the unit of the largest number of a row, which may be of infinite ones."""
    mine = np.array([row[0] for row in connection.execute(f"SELECT idla_embed('{model}', t) FROM {table} t ORDER BY id").fetchall()])
    check(f"{model} embedding {table}", mine / np.maximum(1, np.abs(mine).max(axis=1, keepdims=True)),
          theirs / np.maximum(1, np.abs(mine).max(axis=1, keepdims=True)), failures)


def onnx_answers(file, columns):
    onnx.checker.check_model(onnx.load_from_string(file), full_check=True)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    outputs = {output.name: value for output, value in
               zip(session.get_outputs(), session.run(None, {i.name: columns[i.name] for i in session.get_inputs()}))}
    return outputs, session.get_modelmeta().custom_metadata_map


def check_models(connection, failures):
    for name, (target, task, architecture, options) in MODELS.items():
        source = f"SELECT {INPUTS}, " + {"": "days, died", "sick,smoked": "sick, smoker AS smoked"}.get(target, target) + " FROM patients"
        options = {"epochs": 8, "seed": 1, "threads": 1, **options}
        connection.execute("SELECT idla_train(%s, %s, %s, %s, %s, %s)", (name, source, target or None, task, architecture, Jsonb(options)))
        file = connection.execute("SELECT idla_export(%s, 'onnx')", (name,)).fetchone()[0]
        for table in ("patients", "odd"):
            found, notes = onnx_answers(file, features(connection, table))
            mine = answers(connection, name, target, task, table)
            check_embedding(connection, name, table, found["embedding"], failures)
            if target in ("grade", "sick,smoked"):
                check(f"{name} {table}", mine, found["probabilities"], failures)
            elif target == "cost,stay":
                check(f"{name}", mine, found["prediction"], failures)
            else:
                check(name if target == "cost" or task else f"{name} {table}", mine, found["prediction"], failures)
            if target == "sick" and notes["positive"] == "true":
                check(f"{name} both {table}", np.concatenate([1 - mine, mine], axis=1), found["probabilities"], failures)
        connection.execute("SELECT idla_deploy(%s, 1, weights => 'int8', source => %s)", (name, source))
        found, _ = onnx_answers(connection.execute("SELECT idla_export(%s, 'onnx')", (name,)).fetchone()[0], features(connection, "patients"))
        check("values" if target == "cost" else f"{name} in int8", answers(connection, name, target, task, "patients"),
              found["probabilities" if target in ("grade", "sick,smoked") else "prediction"], failures)


def check_images(connection, failures):
    """Pictures of real numbers beside a column: convolutions, pools and norms over places."""
    connection.execute("""CREATE TABLE scans AS SELECT i AS id, i % 17 AS age, CASE WHEN i % 10 = 3 THEN NULL ELSE
        (SELECT array_agg(line ORDER BY y) FROM (SELECT y, array_agg((sin(i * x * 0.7) * cos(y * i * 0.3) * 5 + i % 3)::real ORDER BY x) AS line
        FROM generate_series(1, 16) y, generate_series(1, 12) x GROUP BY y) l) END AS scan, i % 3 = 1 AS sick FROM generate_series(1, 120) i""")
    rows = connection.execute("SELECT age, scan FROM scans ORDER BY id").fetchall()
    blank = np.full((16, 12), np.nan)
    columns = {"age": np.array([[row[0]] for row in rows], dtype=np.float32),
               "scan": np.array([blank if row[1] is None else row[1] for row in rows], dtype=np.float32)[..., None]}
    for name, architecture in (("cnn", "cnn"), ("resnet20", "resnet20"), ("places", "pad(1) conv(8, 3, 2) group_norm(4) relu mirror max_pool(2) conv(8, 1) average_pool(2) "
                                                                                    "batch_norm gelu global_max join dense(8) relu")):
        connection.execute("SELECT idla_train(%s, 'SELECT age, scan, sick FROM scans', 'sick', architecture => %s, options => %s)",
                           (name, architecture, Jsonb({"epochs": 3, "seed": 1, "threads": 1, "width": 8, "columns": {"scan": "image"}} if "(" not in architecture else
                                                      {"epochs": 3, "seed": 1, "threads": 1, "columns": {"scan": "image"}})))
        found, _ = onnx_answers(connection.execute("SELECT idla_export(%s, 'onnx')", (name,)).fetchone()[0], columns)
        check(f"images {name}", answers(connection, name, "sick", None, "scans"), found["prediction"], failures)
        check_embedding(connection, name, "scans", found["embedding"], failures)


def check_weights(connection, failures):
    """The mlp's first layer and on, from the tensors of the file and the numbers of its manifest."""
    source = "SELECT age, lab, sick FROM patients"
    connection.execute("SELECT idla_train('plain', %s, 'sick', architecture => 'mlp', options => %s)",
                       (source, Jsonb({"epochs": 8, "seed": 1, "folds": 1, "bags": 1, "linear": False, "threads": 1})))
    check_file(connection, "F32", failures)
    for weights, kind in (("bfloat16", "BF16"), ("int8", "I8")):
        connection.execute("SELECT idla_deploy('plain', 1, weights => %s, source => %s)", (weights, source))
        check_file(connection, kind, failures)


def check_file(connection, kind, failures):
    file = connection.execute("SELECT idla_export('plain')").fetchone()[0]
    stored = safetensors.torch.load(file)
    tensors = {name: tensor.float() * stored.get(name + ".scale", 1) for name, tensor in stored.items()}
    (size,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8:8 + size])
    if kind not in {entry["dtype"] for name, entry in header.items() if name.endswith("linear.weights")}:
        failures.append(f"no {kind}")
    manifest = json.loads(header["__metadata__"]["idla.manifest"])
    raw = features(connection, "patients")
    numbers = torch.zeros(len(raw["age"]), manifest["n_numbers"])
    for column, channel in zip(manifest["columns"], manifest["channels"]):
        value = torch.from_numpy(raw[column["name"]])[:, 0]
        x = (torch.where(value.isnan(), channel["fill"], value) - channel["center"]) * channel["scale"]
        numbers[:, channel["number_input"]] = x / torch.sqrt(1 + (x / 3) ** 2)
        if channel["indicator_input"] >= 0:
            numbers[:, channel["indicator_input"]] = value.isnan().float()
    total = 0
    for number, net in enumerate(manifest["nets"]):
        x = numbers
        for layer in range(net["depth"]):
            x = torch.relu(x @ tensors[f"net{number}/block{layer}.linear.weights"] + tensors[f"net{number}/block{layer}.linear.bias"])
        total = total + (x @ tensors[f"net{number}/head.weights"] + tensors[f"net{number}/head.bias"]).double()
    logit = total / len(manifest["nets"]) / manifest["temperature"] + (manifest.get("offset") or [0])[0]
    check(f"safetensors by torch, {kind}", answers(connection, "plain", "sick", None, "patients"), torch.sigmoid(logit).numpy(), failures)
    # Written anew by the library, its tensors in another order
    again = safetensors.torch.save(stored, metadata=header["__metadata__"])
    connection.execute("DROP TABLE IF EXISTS again")
    connection.execute("SELECT idla_import('again', %s)", (again,))
    check(f"written anew, {kind}", answers(connection, "plain", "sick", None, "patients"), answers(connection, "again", "sick", None, "patients"), failures)


def check_mapping(connection, failures):
    """An mlp of PyTorch with its preprocessing, imported and answering."""
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(2 + 1 + 3 + 1, 16), torch.nn.ReLU(), torch.nn.Linear(16, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    raw = features(connection, "patients")
    age, lab = (torch.from_numpy(raw[name])[:, 0] for name in ("age", "lab"))
    sex = torch.stack([torch.from_numpy((raw["sex"][:, 0] == word).astype(np.float32)) for word in ("f", "m", 'x"\\é')], dim=1)
    x = torch.cat([((age - 50) / 15)[:, None], ((torch.where(lab.isnan(), 10.0, lab) - 20) / 40)[:, None], torch.from_numpy(raw["smoker"]),
                   lab.isnan().float()[:, None], sex], dim=1)
    mapping = {
        "task": "binary", "target": "sick", "classes": ["no", "yes"], "layers": "dense(16) relu dense(8) tanh", "columns": [
            {"name": "age", "scaling": "standard", "center": 50, "scale": 1 / 15},
            {"name": "lab", "scaling": "standard", "center": 20, "scale": 1 / 40, "fill": 10, "indicator": True},
            {"name": "smoker", "kind": "boolean"}, {"name": "sex", "categories": ["f", "m", 'x"\\é']}],
        "tensors": {"layer0.weights": "0.weight", "layer0.bias": "0.bias", "layer2.weights": "2.weight", "layer2.bias": "2.bias",
                    "head.weights": "4.weight", "head.bias": "4.bias"}}
    for name, half in (("torch", False), ("torch_half", True)):
        state = {key: value.bfloat16() if half else value for key, value in net.state_dict().items()}
        used = torch.nn.Sequential(*net)
        used.load_state_dict({key: value.float() for key, value in state.items()})
        connection.execute("SELECT idla_import(%s, %s, %s)", (name, safetensors.torch.save(state), Jsonb(mapping)))
        with torch.no_grad():
            theirs = torch.sigmoid(used(x)).double().numpy()
        check(f"imported {name}", answers(connection, name, "sick", None, "patients"), theirs, failures)
    found, _ = onnx_answers(connection.execute("SELECT idla_export('torch', 'onnx')").fetchone()[0], raw)
    check("imported, exported", answers(connection, "torch", "sick", None, "patients"), found["prediction"], failures)


def main():
    connection = psycopg.connect(autocommit=True)
    connection.execute("SET client_min_messages = error")
    connection.execute("CREATE EXTENSION IF NOT EXISTS idla")
    connection.execute(ROWS)
    connection.execute(ODD)
    failures = []
    print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}, torch {torch.__version__}")
    check_models(connection, failures)
    check_images(connection, failures)
    check_weights(connection, failures)
    check_mapping(connection, failures)
    if failures:
        sys.exit(f"over {BAR}: {', '.join(failures)}")


if __name__ == "__main__":
    main()
