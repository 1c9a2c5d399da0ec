"""Whether a graph answers as the model it was made of: on the run's own rows if they are at hand, and on extremes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from datasets import Dataset, DatasetDict
from torch import Tensor

from hfkit.contract.task import Task
from hfkit.errors import Failure, UserError
from hfkit.inference.examples import examples, of_pairs, report_of
from hfkit.inference.saved import SavedModel
from hfkit.report.names import dataset_name
from hfkit.scores.statistics import by_unit, paired_difference

ABSOLUTE, RELATIVE = 1e-5, 1e-4  # of the largest logit: what rounding in another order may change
MOST_ROWS = 500  # of a split that are compared
SIZES = (1, 2, 7, 32)  # rows of a batch, in turn
SENTENCE = "The parcel for Ada Lovelace came to London a day late, but all of it was there. "
MADE_UP = "made-up inputs"
# Flags of a run that say which rows it had.
ROWS = ("dataset", "dataset_config", "dataset_revision", "on_bad_row", "unit_column", "encoding", "max_megapixels")


@dataclass(frozen=True)
class Material:
    """Rows to compare on, with their answers where they have some."""

    task: Task  # that the rows are prepared by
    rows: Dataset
    source: str  # in words
    references: list | None = None

    @staticmethod
    def of(saved: SavedModel, inputs: list[dict[str, Any]], source: str) -> "Material":
        """Rows without answers, in columns with the names that every task knows."""
        task = saved.with_usual_columns().task
        rows, faults = task.unanswered(Dataset.from_list(inputs), saved.labels)
        bad = {fault.row for fault in faults}
        return Material(task, rows.select([row for row in range(len(rows)) if row not in bad]), source)


def extremes(saved: SavedModel) -> Material:
    """A short text, one of a sentence, and one that is longer than any model reads; or pictures of noise."""
    if saved.task.reads == "text":
        return Material.of(
            saved, [texts(saved, "a", 1), texts(saved, SENTENCE, 1), texts(saved, SENTENCE, 200)], MADE_UP
        )
    return Material.of(saved, [noise(20, 31), noise(300, 200), noise(64, 64)], MADE_UP)


def texts(saved: SavedModel, text: str, repeats: int) -> dict[str, Any]:
    """A row of a text, or of a pair of them."""
    row = {"text": text * repeats}
    return row | {"text_pair": text} if of_pairs(report_of(saved.folder)) else row


def noise(width: int, height: int) -> dict[str, Any]:
    from PIL import Image

    buffer = BytesIO()
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"image": {"bytes": buffer.getvalue(), "path": None}}


def at_hand(saved: SavedModel, dataset: str | None) -> Material:
    """The test rows of `dataset`, or else of the run if its data are on this machine; or the examples of its report;
    or sentences.

    Raises:
        UserError: the dataset that was named cannot be used.
    """
    report = report_of(saved.folder)
    known = {field.name for field in fields(saved.task)} & {*ROWS}
    settings = {name: value for name, value in report.get("settings", {}).items() if name in known}
    if dataset is not None:
        return answered(replace(saved.task, dataset=dataset), saved.labels)
    if settings.get("dataset") == "sample" or Path(str(settings.get("dataset", "?"))).expanduser().exists():
        try:
            return answered(replace(saved.task, **settings), saved.labels)
        except UserError:
            pass  # the folder has changed since, and the report has examples
    if shown := examples(report):
        return Material.of(saved, shown, "the examples of its report")
    if saved.task.reads == "text":
        return Material.of(saved, [texts(saved, SENTENCE, repeats) for repeats in range(1, 21)], "more made-up inputs")
    return Material.of(saved, [noise(24 + size, 40) for size in range(20)], "more made-up inputs")


def answered(task: Task, labels: list[str]) -> Material:
    """Rows of a test split, evenly spaced over it where it is large.

    Raises:
        UserError: they cannot be loaded, or have labels that the model does not know.
    """
    split = task.judged(labels, None)["test"]
    if len(split) > MOST_ROWS:
        split = split.select(np.linspace(0, len(split) - 1, MOST_ROWS).astype(int))
    return Material(task, split, f"test rows of {dataset_name(task.dataset)}", task.references(split))


@dataclass(frozen=True)
class Asked:
    """Material with what the model reads of it."""

    material: Material
    prepared: Dataset

    def batches(self, saved: SavedModel, sizes: Sequence[int]) -> Iterator[dict[str, Tensor]]:
        """The inputs of all prepared rows in order, in batches of these sizes in turn, with `labels` to the end."""
        collator, start, turns = self.material.task.collator(saved.processor), 0, cycle(sizes)
        while start < len(self.prepared):
            stop = min(start + next(turns), len(self.prepared))
            yield collator([self.prepared[row] for row in range(start, stop)])
            start = stop

    @property
    def widest(self) -> int | None:
        """Tokens of the longest row; None for pictures."""
        if "input_ids" not in self.prepared.column_names:
            return None
        return max(map(len, self.prepared["input_ids"]))


def asked(saved: SavedModel, material: Material) -> Asked:
    prepared = material.task.prepare(DatasetDict(test=material.rows), saved.processor, saved.labels)["test"]
    return Asked(material, prepared)


@dataclass(frozen=True)
class Compared:
    """The answers of model and graph to the same rows."""

    asked: Asked
    theirs: list  # the model's predictions
    ours: list  # the graph's
    largest_difference: float  # of two logits
    largest_logit: float

    @property
    def equal(self) -> float | None:
        """The share of rows with the same answer; None where the answer is a number of any precision."""
        task = self.asked.material.task
        pairs = zip(self.theirs, self.ours, self.asked.material.rows, strict=True)
        told = [(task.told(model, row), task.told(graph, row)) for model, graph, row in pairs]
        return None if any(isinstance(model, float) for model, _ in told) else float(np.mean([a == b for a, b in told]))

    def told(self) -> dict[str, Any]:
        """For the record."""
        return {
            "rows": len(self.ours),
            "largest_difference": self.largest_difference,
            "largest_logit": self.largest_logit,
            "equal_predictions": self.equal,
        }

    def gained(self) -> dict[str, Any] | None:
        """By how much the graph scores above the model on rows with answers; None where there are none."""
        material = self.asked.material
        if material.references is None:
            return None
        task, units = material.task, material.task.units(material.rows)
        after, before = (by_unit(task.tallies(said, material.references), units) for said in (self.ours, self.theirs))
        return {
            "metric": task.headline,
            "before": float(task.headline_of(before.sum(0))),
            "after": float(task.headline_of(after.sum(0))),
            **paired_difference(after, before, task.headline_of),
        }


def compared(saved: SavedModel, rows: Asked, session: onnxruntime.InferenceSession) -> Compared:
    """Ask the model and the graph about the same batches, of sizes that change."""
    from hfkit.inference.export.graph import logits_of

    task = rows.material.task
    outputs: tuple[list, list] = ([], [])
    difference = largest = 0.0
    for batch in rows.batches(saved, SIZES):
        labels = batch.pop("labels")
        with torch.inference_mode():
            theirs = saved.model(**batch).logits
        ours = torch.from_numpy(logits_of(session, batch))
        # What is said of padding is read by nobody.
        read = batch["attention_mask"].bool() if theirs.ndim == 3 else slice(None)
        gap = (ours[read] - theirs[read]).abs().max()
        difference = max(difference, float(gap) if gap.isfinite() else float("inf"))
        largest = max(largest, float(theirs[read].abs().max()))
        for kept, logits in zip(outputs, (theirs, ours), strict=True):
            kept += list(task.compact(logits, labels).numpy())
    theirs, ours = (task.decode(padded(kept), rows.prepared, saved.labels)[0] for kept in outputs)
    return Compared(rows, theirs, ours, difference, largest)


def padded(rows: list[np.ndarray]) -> np.ndarray:
    """Outputs of unlike width as one array, the rest -100."""
    widest = max(len(row) for row in rows)
    return np.stack([np.pad(row, (0, widest - len(row)), constant_values=-100) for row in rows])


def refuse_different(place: str, found: dict[str, Compared], most: float | None = None) -> None:
    """Refuse a graph whose logits are not those of the model, or no numbers.

    Args:
        most: what may lie between two logits; default: what rounding explains.

    Raises:
        Failure: naming the rows and the largest difference.
    """
    for source, one in found.items():
        allowed = ABSOLUTE + RELATIVE * one.largest_logit if most is None else most
        if not math.isfinite(one.largest_difference) or one.largest_difference > allowed:
            raise Failure(
                f"The ONNX graph of '{place}' does not answer as the model does: on {source}, logits of up to"
                f" {one.largest_logit:.3g} differ by {one.largest_difference:.3g}, and {allowed:.3g} is allowed",
                "Try another --opset, or use the model through transformers; nothing was written",
            )
