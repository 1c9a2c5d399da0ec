"""Rows with a saved model's answers in columns of their own, chunk by chunk."""

from dataclasses import dataclass
from typing import Any

from hfkit.data.bad_rows import Fault
from hfkit.data.streams import Chunk, Record
from hfkit.errors import UserError
from hfkit.inference.explanations import COLUMN, Explanations
from hfkit.inference.saved import PredictedRow, SavedModel

ADDED = ("prediction", "probability", "probabilities", "error")
# The column in which a tool for spans of characters expects them, beside `text`.
SPAN_COLUMNS = {"doccano": "label", "prodigy": "spans"}


@dataclass(frozen=True)
class Asking:
    """A saved model, and how its answers are written."""

    saved: SavedModel
    batch_size: int
    skip: bool  # write the fault of a bad row in its place; False refuses the first one
    every: bool  # write the probability of every label too
    tool: str | None = None  # one of SPAN_COLUMNS: spans are written as it imports them
    explanations: Explanations | None = None  # where pictures of what answers rest on are written

    def answers(self, chunk: Chunk, number: int = 0) -> tuple[list[Record], list[Fault]]:
        """The rows of a chunk with the model's answers, and the faults among them.

        Args:
            number: of the first of these rows among all that are asked about.

        Raises:
            UserError: a row is bad and not to be skipped, or the columns do not fit.
        """
        added = ADDED if self.tool is None else (SPAN_COLUMNS[self.tool], "error")
        added = added if self.explanations is None else (*added, COLUMN)
        if taken := [name for name in added if name in chunk.rows.column_names]:
            raise UserError(
                f"column '{taken[0]}' of {chunk.source}", "the prediction goes into that column", "Rename the column"
            )
        explained = self.explanations.left_from(number) if self.explanations else 0
        predicted = self.saved.in_folder(chunk.folder).predict_table(
            chunk.rows, batch_size=self.batch_size, explained=explained
        )
        faults = [one.fault for one in predicted if one.fault]
        if faults and not self.skip:
            raise bad_row_error(chunk, faults[0])
        columns = chunk.rows.column_names
        rows = zip(chunk.records, predicted, strict=True)
        return [
            {**own_columns(record, columns), **self.new_columns(one), **self.picture_column(place, one)}
            for place, (record, one) in enumerate(rows, number)
        ], faults

    def picture_column(self, number: int, predicted: PredictedRow) -> Record:
        """The file that shows what the answer to a row rests on; {} where nobody has asked for one."""
        if self.explanations is None:
            return {}
        return {COLUMN: predicted.looked_at and self.explanations.save(number, predicted.looked_at)}

    def new_columns(self, predicted: PredictedRow) -> Record:
        if self.tool is not None:
            return self.span_columns(predicted)
        likelihoods, added = predicted.likelihoods, {"prediction": predicted.record}
        if self.every and likelihoods is None and predicted.fault is None:
            raise UserError(
                "--probabilities", f"a model for {self.saved.task.key} gives no probabilities", "Leave it out"
            )
        if self.saved.ranks_labels:
            added["probability"] = likelihoods and likelihoods[self.best_label(predicted)]
        if self.every:
            added["probabilities"] = likelihoods
        if self.skip:
            added["error"] = predicted.fault and to_words(predicted.fault)
        return added

    def span_columns(self, predicted: PredictedRow) -> Record:
        """The text of a row and its spans, as a tool imports them; of a bad row only what is wrong with it."""
        column, added = SPAN_COLUMNS[self.tool], {}
        if predicted.fault is None:
            shown = self.saved.task.view.answer(predicted.answer, predicted.row)
            added["text"], places = shown.in_characters()
            as_list = self.tool == "doccano"
            added[column] = [
                list(one) if as_list else dict(zip(("start", "end", "label"), one, strict=True)) for one in places
            ]
        else:
            added[column] = None
        if self.skip:
            added["error"] = predicted.fault and to_words(predicted.fault)
        return added

    def best_label(self, predicted: PredictedRow) -> str:
        """The label of a row that has exactly one."""
        (label,) = self.saved.task.view.answer(predicted.answer, predicted.row).labels
        return label


def own_columns(record: Record, columns: list[str]) -> Record:
    """A row's own columns; of a picture its path."""
    return {name: drop_bytes(record.get(name)) for name in columns}


def drop_bytes(value: Any) -> Any:
    return value["path"] if isinstance(value, dict) and value.keys() == {"bytes", "path"} else value


def to_words(fault: Fault) -> str:
    place = f"column '{fault.column}': " if fault.column else ""
    return f"{place}{fault.value}: {fault.rule}"


def bad_row_error(chunk: Chunk, fault: Fault) -> UserError:
    column = f", column '{fault.column}'" if fault.column else ""
    return UserError(
        f"{chunk.source}, row {chunk.first + fault.row}{column}: {fault.value}",
        fault.rule,
        f"{fault.fix}, or write the reason in its place with --on_bad_row skip",
    )
