"""FASTA: sequences of proteins or nucleotides, each below a line with its name."""

from collections.abc import Iterator
from pathlib import Path

from datasets import Dataset, Features, Value

from hfkit.data.encodings import find_encoding
from hfkit.errors import DataError

COLUMNS = ("name", "description", "sequence")
SUFFIXES = (".fasta", ".fa", ".faa", ".fna")


def read_fasta(split: str, paths: list[Path], encoding: str | None = None) -> Dataset:
    """The sequences of FASTA files, in capitals or not as they stand there.

    Raises:
        UserError: a file cannot be read in its encoding.
        DataError: a file does not begin with a name, or there is no sequence.
    """
    records = [record for path in paths for record in iterate_fasta(split, path, find_encoding(path, encoding))]
    if not records:
        names = ", ".join(path.name for path in paths)
        raise DataError(names, "it holds no sequences", "Give every split some rows", split=split)
    columns = {name: [record[name] for record in records] for name in COLUMNS}
    return Dataset.from_dict(columns, features=Features({name: Value("string") for name in COLUMNS}))


def iterate_fasta(split: str, path: Path, codec: str) -> Iterator[dict[str, str]]:
    """The sequences of a file, one at a time: its name up to the first blank, what follows it, and its letters.

    Raises:
        DataError: letters stand before the first name.
    """
    head: str | None = None
    pieces: list[str] = []
    with path.open(encoding=codec) as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if line.startswith(">"):
                if head is not None:
                    yield make_record(head, pieces)
                head, pieces = line[1:], []
            elif line and not line.startswith(";"):  # a comment
                if head is None:
                    raise DataError(
                        f"line {number} of {path.name} is {line[:40]!r}",
                        "a sequence stands below a line with its name, which begins with >",
                        "Add the line, such as >first",
                        split=split,
                    )
                pieces.append(line)
    if head is not None:
        yield make_record(head, pieces)


def make_record(head: str, pieces: list[str]) -> dict[str, str]:
    name, _, description = head.strip().partition(" ")
    # Blanks, within lines too, only make a sequence easier to read.
    return {"name": name, "description": description.strip(), "sequence": "".join("".join(pieces).split())}
