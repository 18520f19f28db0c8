"""The tables that quality is measured on, as their files in a folder of data have them."""

import io
import zipfile

import pandas as pd
from psycopg import sql


class Table:
    """A data frame, its target, what must not be a feature, and the bar that the issue sets."""

    def __init__(self, name, frame, target, bars=None, group=None, ignore=(), survival=None):
        self.name, self.frame, self.target = name, frame.reset_index(drop=True), target
        self.bars, self.group, self.ignore, self.survival = bars or {}, group, list(ignore), survival

    def features(self):
        hidden = {self.target, self.group, *self.ignore, *(self.survival or ())}
        return [c for c in self.frame.columns if c not in hidden]


# ---- Data ----

def wdbc(data):
    path = data / "ehr/wdbc/breast_cancer.csv"
    frame = pd.read_csv(path, skiprows=1, header=None)
    frame.columns = [f"f{i:02d}" for i in range(30)] + ["malignant"]
    frame["malignant"] = frame["malignant"] == 0
    return Table("wdbc", frame, "malignant", {"auroc": .995})


def pima(data):
    frame = pd.read_csv(data / "ehr/pima/PimaIndiansDiabetes2.csv")
    frame["diabetes"] = frame["diabetes"] == "pos"
    return Table("pima", frame, "diabetes", {"auroc": .84, "log_loss": .475})


def heart(data):
    parts = []
    for centre in ("cleveland", "hungarian", "switzerland", "va"):
        part = pd.read_csv(data / f"ehr/uci_heart_disease/processed.{centre}.data", na_values="?", skipinitialspace=True)
        part.columns = [c.strip() for c in part.columns]
        parts.append(part)
    frame = pd.concat(parts)
    for column in ("cp", "restecg", "slope", "thal"):	# nominal codes, not amounts
        frame[column] = frame[column].map(lambda v: None if pd.isna(v) else f"c{int(v)}")
    frame["disease"] = frame.pop("num") > 0
    return Table("heart", frame, "disease", {"auroc": .88})


def diabetes130(data):
    with zipfile.ZipFile(data / "ehr/diabetes130/dataset_diabetes.zip") as archive:
        text = archive.read("dataset_diabetes/diabetic_data.csv")
    frame = pd.read_csv(io.BytesIO(text), na_values="?", keep_default_na=False, low_memory=False)
    frame["readmitted"] = frame["readmitted"] == "<30"
    for column in ("admission_type_id", "discharge_disposition_id", "admission_source_id"):
        frame[column] = frame[column].map(lambda v: f"c{v}")
    frame.columns = [c.replace("-", "_").lower() for c in frame.columns]
    return Table("diabetes130", frame, "readmitted", {"auroc": .67, "ece": .01},
                 group="patient_nbr", ignore=["encounter_id"])


def metabric(data):
    import h5py
    parts = []
    with h5py.File(data / "survival/deepsurv/metabric_IHC4_clinical_train_test.h5") as file:
        for part in ("train", "test"):
            frame = pd.DataFrame(file[part]["x"][:], columns=[f"x{i}" for i in range(9)])
            frame["months"] = file[part]["t"][:]
            frame["died"] = file[part]["e"][:].astype(bool)
            parts.append(frame)
    frame = pd.concat(parts).astype({f"x{i}": float for i in range(9)})
    return Table("metabric", frame, "months,died", survival=("months", "died"))


def gbsg(data):
    frame = pd.read_csv(data / "survival/r_survival/gbsg.csv.gz")
    frame = frame.drop(columns=[c for c in frame.columns if c in ("Unnamed: 0", "rownames", "pid", "")])
    frame["status"] = frame["status"].astype(bool)
    return Table("gbsg", frame, "rfstime,status", survival=("rfstime", "status"))


TABLES = {f.__name__: f for f in (wdbc, pima, heart, diabetes130, metabric, gbsg)}


# ---- Into the database ----

def sql_type(series):
    if series.dtype == bool:
        return "boolean"
    if pd.api.types.is_integer_dtype(series):
        return "integer"
    if pd.api.types.is_float_dtype(series):
        return "double precision"
    return "text"


def load(connection, table):
    frame = table.frame
    columns = [sql.SQL("{} {}").format(sql.Identifier(c), sql.SQL(sql_type(frame[c]))) for c in frame.columns]
    name = sql.Identifier(table.name)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
    connection.execute(sql.SQL("CREATE TABLE {} (row_number int, fold int, {})").format(name, sql.SQL(", ").join(columns)))
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(name)) as copy:
        for number, row in enumerate(frame.itertuples(index=False, name=None)):
            copy.write_row((number, 0) + tuple(None if v is None or v != v else v for v in row))
    connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (row_number)").format(name))
