"""Chunks of rows to what a saved model says of them, each row with its own columns."""

from dataclasses import dataclass, replace
from typing import Any

from hfkit.data.bad_rows import Fault
from hfkit.data.streams import Chunk, Record
from hfkit.errors import UserError
from hfkit.inference.saved import SavedModel, Told

ADDED = ("prediction", "probability", "probabilities", "error")


@dataclass(frozen=True)
class Asking:
    """What is asked of a model, and what becomes of rows that cannot be asked."""

    saved: SavedModel
    batch_size: int
    skip: bool  # say what is wrong with a row in its place; else the first one is refused
    every: bool  # also the probability of every label

    def answers(self, chunk: Chunk) -> tuple[list[Record], list[Fault]]:
        """The rows of a chunk with what the model says of each, and the rows at fault.

        Raises:
            UserError: a row is at fault and not to be skipped, or the columns do not fit.
        """
        if taken := [name for name in ADDED if name in chunk.rows.column_names]:
            raise UserError(
                f"column '{taken[0]}' of {chunk.source}", "what the model says is written there", "Rename the column"
            )
        # Where the paths of pictures begin is a flag of the task.
        saved = replace(self.saved, task=replace(self.saved.task, dataset=str(chunk.folder)))
        told = saved.told(chunk.rows, batch_size=self.batch_size)
        faults = [one.fault for one in told if one.fault]
        if faults and not self.skip:
            raise refused(chunk, faults[0])
        columns = chunk.rows.column_names
        rows = zip(chunk.records, told, strict=True)
        return [{**own(record, columns), **self.added(one)} for record, one in rows], faults

    def added(self, told: Told) -> Record:
        likely, found = told.probabilities, {"prediction": told.prediction}
        if self.every and likely is None and told.fault is None:
            raise UserError("--probabilities", f"a model for {self.saved.task.name} tells none here", "Leave it out")
        if self.saved.one_label:
            found["probability"] = likely and likely[told.prediction]
        if self.every:
            found["probabilities"] = likely
        if self.skip:
            found["error"] = told.fault and in_words(told.fault)
        return found


def own(record: Record, columns: list[str]) -> Record:
    """A row's own columns; of a picture its path."""
    return {name: without_bytes(record.get(name)) for name in columns}


def without_bytes(value: Any) -> Any:
    return value["path"] if isinstance(value, dict) and value.keys() == {"bytes", "path"} else value


def in_words(fault: Fault) -> str:
    place = f"column '{fault.column}': " if fault.column else ""
    return f"{place}{fault.value}: {fault.rule}"


def refused(chunk: Chunk, fault: Fault) -> UserError:
    column = f", column '{fault.column}'" if fault.column else ""
    return UserError(
        f"{chunk.source}, row {chunk.first + fault.row}{column}: {fault.value}",
        fault.rule,
        f"{fault.fix}, or have it said in its place with --on_bad_row skip",
    )
