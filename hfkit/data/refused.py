"""Kinds of files that are not read, why, and the way out: for error messages, and for the table in docs/data.md."""

from pathlib import PurePath
from typing import NamedTuple


class Refusal(NamedTuple):
    """The reason why files of a kind are not read, and what to do instead."""

    suffixes: tuple[str, ...]
    why: str
    fix: str


REFUSED = (
    Refusal(
        (".xml",),
        "CVAT, Pascal VOC, LabelMe and others each write another XML, and boxes have no task yet",
        "Export it as JSON or CSV; for classes of pictures, put them into a folder for each class",
    ),
    Refusal(
        (".pdf", ".doc", ".docx", ".odt", ".rtf", ".html", ".htm", ".md"),
        "a document has no rows",
        "Save its text as .txt, with one text a line or in a folder for each class, or as a table",
    ),
    Refusal(
        (".pkl", ".pickle", ".joblib", ".pt", ".rds", ".rdata"),
        "to open it may run code that somebody put into it",
        'Save the table where it was made, such as with `frame.to_parquet("rows.parquet")`',
    ),
    Refusal(
        (".sav", ".dta", ".sas7bdat", ".por"),
        "a program for statistics wrote it, in a form of its own",
        'Save it there as CSV, or with `pandas.read_spss("rows.sav").to_parquet("rows.parquet")` and its like',
    ),
    Refusal(
        (".npy", ".npz", ".h5", ".hdf5", ".mat", ".tfrecord"),
        "it holds numbers without names of columns",
        "Write a table with a column of texts or of paths, and one of labels",
    ),
    Refusal(
        (".gz", ".bz2", ".xz", ".7z", ".rar", ".tgz"),
        "of archives only .zip, and .tar of webdataset, are read",
        "Unpack it and give the file or the folder, or pack a .zip",
    ),
    Refusal(
        (".db", ".sqlite", ".sqlite3", ".mdb", ".accdb", ".duckdb"),
        "a database has several tables",
        'Set --dataset "sqlite:///rows.db" --query "select text, label from rows", or export a table as CSV',
    ),
    Refusal((".numbers", ".pages", ".gsheet"), "it is of one program alone", "Export it as .xlsx or .csv"),
    Refusal((".feather", ".orc", ".avro"), "it is a rare form of table", "Save it as .parquet"),
    Refusal((".yaml", ".yml", ".toml"), "it is a form of settings", "Save the rows as JSON lines"),
)


def find_refusal(*names: str) -> Refusal | None:
    """The refusal that the first of some names of files falls under; None if there is nothing to say about any."""
    suffixes = [PurePath(name).suffix.lower() for name in names]
    return next((one for suffix in suffixes for one in REFUSED if suffix in one.suffixes), None)
