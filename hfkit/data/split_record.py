"""Which rows of a dataset are train, validation and test where hfkit drew them: `hfkit_split.json` beside the model.

Rows are known by a digest of their input, so that the record holds when rows are added, removed or put in another
order.
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from hfkit.errors import UserError, first_line
from hfkit.runtime.durable import write_file
from hfkit.runtime.files import read_object

FILE = "hfkit_split.json"
SCHEMA = "hfkit.split/1"
FIX = "Give the output_dir of a run whose rows hfkit split"
MOSTLY = 0.5  # share of rows that a run has seen, from which on they are taken for its own dataset


@dataclass(frozen=True)
class SplitRecord:
    """The digests of the rows of every split, (rows,) unsigned 64 bits each."""

    digests: Mapping[str, np.ndarray]

    def save(self, folder: Path) -> None:
        splits = {split: encode(digests) for split, digests in self.digests.items()}
        text = json.dumps({"schema": SCHEMA, "rows": {k: len(v) for k, v in self.digests.items()}, "splits": splits})
        write_file(folder / FILE, text + "\n")

    def divide(self, contents: Sequence[str]) -> dict[str, np.ndarray]:
        """The numbers of the rows of every split; rows that the record does not know are `new`."""
        digests = digest_rows(contents)
        splits = {split: np.flatnonzero(np.isin(digests, known)) for split, known in self.digests.items()}
        known = np.concatenate(list(splits.values()))
        return {**splits, "new": np.setdiff1d(np.arange(len(contents)), known)}


def load_record(path: Path) -> SplitRecord:
    """The record in a file, or in a folder that has one.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    file = path / FILE if os.path.isdir(path) else path
    try:
        stored = read_object(file, f"split file '{path}'", FIX)
        if stored["schema"] != SCHEMA:
            raise ValueError(f"its schema is {stored['schema']}")
        return SplitRecord({split: decode(text) for split, text in stored["splits"].items()})
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"split file '{path}'",
            f"it is the {FILE} of a run, and cannot be read as one ({first_line(error)})",
            FIX,
        ) from error


def digest_rows(contents: Sequence[str]) -> np.ndarray:
    """A digest of each input, (rows,) unsigned 64 bits."""
    digests = (blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in contents)
    return np.frombuffer(b"".join(digests), "<u8")


def encode(digests: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(digests, "<u8").tobytes()).decode("ascii")


def decode(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text, validate=True), "<u8")
