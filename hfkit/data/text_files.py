"""Plain text: a text a line, with or without a label, and folders in which every text is a file."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datasets import Dataset, Features, List, Value

from hfkit.data.encodings import find_encoding, tell_encoding
from hfkit.data.headers import First, judge_first_row, name_columns
from hfkit.data.leftovers import describe_leftovers, list_folder, walk, walk_files
from hfkit.data.notes import tell
from hfkit.data.split_names import split_of
from hfkit.data.tables import Form, describe_form, iterate_pieces, make_table
from hfkit.errors import DataError

LABEL = "__label__"  # fastText writes it before a class
NAMES = {"text", "label", "sentence", "class", "category"}


def read_texts(split: str, paths: list[Path], encoding: str | None = None) -> Dataset:
    """The lines of .txt files: texts and labels between tabs or after fastText's marks, otherwise a text each.

    Raises:
        UserError: a file cannot be read in its encoding, or several may be meant.
        DataError: there are no lines, or it is not clear which side of the tabs is the text.
    """
    codecs = {path: find_encoding(path, encoding) for path in paths}
    lines = [line for path, codec in codecs.items() for line in iterate_texts(path, codec)]
    filled = [line for line in lines if line.strip()]
    names = ", ".join(path.name for path in paths)
    if not filled:
        raise DataError(names, "it holds no lines of text", "Give every split some rows", split=split)
    for path, codec in codecs.items():
        tell_encoding(path, codec)
    if all(LABEL in line for line in filled):
        tell(f"{names}: labels in front of texts, as fastText writes them")
        return read_fasttext(filled)
    if all(line.count("\t") == 1 for line in filled):
        return read_tabbed(split, codecs)
    tell(f"{names}: a text a line, without labels")
    return Dataset.from_dict({"text": lines}, features=Features({"text": Value("string")}))


def iterate_texts(path: Path, codec: str) -> Iterator[str]:
    """The lines of a file without their ends."""
    with path.open(encoding=codec) as file:
        for line in file:
            yield line.removesuffix("\n")


def read_fasttext(lines: list[str]) -> Dataset:
    """Texts and the labels marked in them; a label is a list if any line has several."""
    found = [re.findall(rf"(?<!\S){LABEL}(\S+)", line) for line in lines]
    texts = [" ".join(re.sub(rf"(?<!\S){LABEL}\S+", " ", line).split()) for line in lines]
    several = any(len(labels) != 1 for labels in found)
    return Dataset.from_dict(
        {"text": texts, "label": found if several else [labels[0] for labels in found]},
        features=Features({"text": Value("string"), "label": List(Value("string")) if several else Value("string")}),
    )


def read_tabbed(split: str, codecs: dict[Path, str]) -> Dataset:
    """Texts and labels with a tab between them, in either order, with or without a first line of names.

    Raises:
        DataError: it is not clear which is which.
    """
    tables = []
    for path, codec in codecs.items():
        form = Form(codec, "\t", quotes=False)
        rows = [line.split("\t") for line in iterate_texts(path, codec) if line.strip()]
        first = [cell.strip() for cell in rows[0]]
        if judge_first_row(first, rows[1:]) is First.NAMES or NAMES.issuperset(name.lower() for name in first):
            form = replace(form, names=tuple(first))
        elif names := name_columns(rows):
            form = replace(form, header=False, names=tuple(names))
        else:
            raise DataError(
                f"the lines of {path.name}",
                "each has one tab, and it is not clear on which side of it the label stands",
                "Add a first line of names, such as text<TAB>label",
                split=split,
            )
        tell(f"{path.name}: {describe_form(path, replace(form, encoding='utf-8'))}")
        tables += [Dataset(make_table(piece.rows, form.names)) for piece in iterate_pieces(split, path, form)]
    return tables[0]


def find_class_texts(folder: Path) -> dict[str, Path]:
    """The folder of each split that has a folder of .txt files for each class, or of all rows, then as `train`.

    Empty unless there are two classes: one folder of texts is no class.
    """
    named = {split_of(path.name): path for path in list_folder(folder) if path.is_dir() and split_of(path.name)}
    splits = {split: path for split, path in named.items() if split and len(list_classes(path)) > 1}
    if splits:
        return splits
    return {"train": folder} if not named and len(list_classes(folder)) > 1 else {}


def list_classes(folder: Path) -> set[Path]:
    return {path.parent for path in walk(folder).files if is_class_text(path, folder)}


def is_class_text(path: Path, folder: Path) -> bool:
    """True for a .txt file in a subfolder; those in the folder itself say something about it."""
    return path.suffix.lower() == ".txt" and path.parent != folder


def read_class_texts(split: str, folder: Path, encoding: str | None = None, root: Path | None = None) -> Dataset:
    """The .txt files below a folder, each a text whose label is the subfolder that it lies in.

    Args:
        folder: it has a folder for each class, which may have folders in it: 'news/sports' is a class too.
        root: the folder of the dataset, in which links may lead; default: `folder`.

    Raises:
        UserError: a file cannot be read in its encoding, or a link leads out of the dataset.
        DataError: no file lies in such a folder.
    """
    found, skipped = walk_files(folder, root=root)
    files = [path for path in found if is_class_text(path, folder)]
    if not files:
        raise DataError(
            f"folder '{folder}'", "a text is a .txt file in the folder of its class", "Put some there", split=split
        )
    texts = [path.read_text(encoding=find_encoding(path, encoding)) for path in files]
    labels = [path.parent.relative_to(folder).as_posix() for path in files]
    counts = {label: labels.count(label) for label in dict.fromkeys(labels)}
    tell(f"{folder.name}: files of text in folders of classes: {', '.join(f'{k} {n:,}' for k, n in counts.items())}")
    if skipped:
        tell(f"{folder.name}: {describe_leftovers(skipped)}")
    columns = {"text": texts, "label": labels, "file": [path.relative_to(folder).as_posix() for path in files]}
    return Dataset.from_dict(columns, features=Features({name: Value("string") for name in columns}))
