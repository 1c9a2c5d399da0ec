"""An export of a label tool: how it is known by its content, and what it is read into."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from datasets import Dataset

from hfkit.data.exports.records import first_records, is_json

GLIMPSE = 2**20  # bytes of the first file that are looked at to know a tool
MOST = 2**26  # bytes, where the first record is longer than a glimpse


@dataclass(frozen=True)
class Glimpse:
    """The files of one split, and the beginning of the first."""

    paths: tuple[Path, ...]
    head: bytes  # at most GLIMPSE, or as much as holds the first record
    records: tuple[Any, ...]  # the values of a JSON list or of JSON lines that stand whole in the head; () for others

    @property
    def suffix(self) -> str:
        return self.paths[0].suffix.lower()


def look(paths: list[Path]) -> Glimpse:
    """The beginning of the first file, and its records if it is JSON."""
    with paths[0].open("rb") as file:
        head = file.read(GLIMPSE)
        records = first_records(paths[0], head)
        while not records and len(head) < MOST and (more := file.read(len(head))) and is_json(paths[0]):
            head += more
            records = first_records(paths[0], head)
    return Glimpse(tuple(paths), head, tuple(records))


class Export(Protocol):
    """One kind of file that a label tool writes.

    It is read into general columns, so that tasks know no tool: `text`; `spans`, a list of `start`, `end` (characters
    of the text, end excluded) and `label`; `label`, a string, a list of strings or a number; `image`, a path; and
    `annotations`, a list of `annotator` with `label` or `spans`, where several people answered. Whatever else a row
    holds stays in columns of its own.
    """

    title: str  # such as "doccano JSONL"
    tried: str  # the files of the tool that were tried, or that there were none but its documentation
    left_out: str  # what of it is not read, and why; what to do instead

    def fits(self, glimpse: Glimpse) -> bool:
        """Whether these files are such an export."""

    def read(self, split: str, paths: list[Path]) -> Dataset:
        """The rows of one split, in their order.

        Raises:
            DataError: a file is broken.
        """
