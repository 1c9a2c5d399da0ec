"""Whether a graph answers as its model does: on the run's own rows if they are on this machine, and on extremes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from datasets import Dataset
from torch import Tensor

from hfkit.contract.abilities import input_columns
from hfkit.contract.answering import join_batches, to_array
from hfkit.contract.rows import Media, Only
from hfkit.contract.task import Task
from hfkit.errors import Failure, UserError
from hfkit.inference.examples import read_report, report_rows
from hfkit.inference.saved import SavedModel, row_flags
from hfkit.report.names import dataset_name
from hfkit.scores.evidence import total
from hfkit.scores.statistics import paired_difference

ABSOLUTE, RELATIVE = 1e-5, 1e-4  # of the largest logit: the rounding of sums in another order
MOST_ROWS = 500  # of a split that are compared
SIZES = (1, 2, 7, 32)  # rows of a batch, in turn
SENTENCE = "The parcel for Ada Lovelace came to London a day late, but all of it was there. "
MADE_UP = "made-up inputs"


@dataclass(frozen=True)
class Material:
    """Rows to compare on, with gold answers if they have some."""

    task: Task  # that the rows were read by
    rows: Dataset
    source: str  # in words
    references: list | None = None


def make_material(saved: SavedModel, inputs: list[dict[str, Any]], source: str) -> Material:
    """Rows without answers, in columns of the usual names; bad ones are left out."""
    task = saved.with_usual_columns().task
    rows, faults = task.rows.to_predict(Dataset.from_list(inputs))
    bad = {fault.row for fault in faults}
    return Material(task, rows.select([row for row in range(len(rows)) if row not in bad]), source)


def make_extremes(saved: SavedModel) -> Material:
    """A short text, one of a sentence, and one that is longer than any model reads; or pictures of noise."""
    if saved.task.rows.media is Media.IMAGE:
        inputs = [noise_row(saved, 20, 31), noise_row(saved, 300, 200), noise_row(saved, 64, 64)]
    else:
        inputs = [text_row(saved, "a", 1), text_row(saved, SENTENCE, 1), text_row(saved, SENTENCE, 200)]
    return make_material(saved, inputs, MADE_UP)


def text_row(saved: SavedModel, text: str, repeats: int) -> dict[str, Any]:
    """A row whose last text is a long one: the ones before it may be questions, which are refused if they are long."""
    *others, last = usual_columns(saved)
    return {**dict.fromkeys(others, text), last: text * repeats}


def noise_row(saved: SavedModel, width: int, height: int) -> dict[str, Any]:
    """A row of a picture of noise."""
    from PIL import Image

    buffer = BytesIO()
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return {usual_columns(saved)[0]: {"bytes": buffer.getvalue(), "path": None}}


def usual_columns(saved: SavedModel) -> tuple[str, ...]:
    """The columns of a row that the model reads, by their usual names."""
    facts = read_report(saved.folder).get("data", {})
    return input_columns(saved.with_usual_columns().task.rows, facts)


def find_material(saved: SavedModel, dataset: str | None) -> Material:
    """The test rows of `dataset`; by default those of the run if its data are on this machine, otherwise the examples
    of its report, otherwise made-up rows.

    Raises:
        UserError: the dataset that was named cannot be used.
    """
    if dataset is not None:
        return read_test_rows(replace(saved.task, dataset=dataset), saved)
    report = read_report(saved.folder)
    settings, flags = report.get("settings", {}), row_flags(type(saved.task))
    # Nothing that a report grants is granted here: it may be a stranger's.
    own = {name: settings[name] for name in flags & settings.keys() if not name.startswith("allow_")}
    if own.get("dataset") == "sample" or Path(str(own.get("dataset", "?"))).expanduser().exists():
        try:
            return read_test_rows(replace(saved.task, **own), saved)
        except UserError:
            pass  # the folder has changed since, and the report has examples
    if rows := report_rows(report, usual_columns(saved)):
        return make_material(saved, rows, "the examples of its report")
    if saved.task.rows.media is Media.IMAGE:
        rows = [noise_row(saved, 24 + size, 40) for size in range(20)]
    else:
        rows = [text_row(saved, SENTENCE, repeats) for repeats in range(1, 21)]
    return make_material(saved, rows, "more made-up inputs")


def read_test_rows(task: Task, saved: SavedModel) -> Material:
    """Rows of a test split, evenly spaced over it if it is large.

    Raises:
        UserError: they cannot be loaded, or have answers that the model does not know.
    """
    rows = task.rows_to_evaluate(saved.codec.target, Only(), codec=saved.codec)["test"]
    if len(rows) > MOST_ROWS:
        rows = rows.select(np.linspace(0, len(rows) - 1, MOST_ROWS).astype(int))
    return Material(task, rows, f"test rows of {dataset_name(task.dataset)}", task.rows.references(rows))


@dataclass(frozen=True)
class EncodedMaterial:
    """Material with the model's inputs."""

    saved: SavedModel
    material: Material
    encoded: Dataset

    def batches(self, sizes: Sequence[int]) -> Iterator[dict[str, Tensor]]:
        """All encoded rows in order, in batches of these sizes in turn."""
        start, turns = 0, cycle(sizes)
        while start < len(self.encoded):
            stop = min(start + next(turns), len(self.encoded))
            yield self.saved.codec.collate([self.encoded[row] for row in range(start, stop)])
            start = stop

    @property
    def widest(self) -> int | None:
        """Tokens of the longest row; None for media without tokens."""
        if "input_ids" not in self.encoded.column_names:
            return None
        return max(map(len, self.encoded["input_ids"]))


def encode_material(saved: SavedModel, material: Material) -> EncodedMaterial:
    return EncodedMaterial(saved, material, saved.encode(material.rows))


@dataclass(frozen=True)
class Comparison:
    """The answers of model and graph to the same rows."""

    material: Material
    model_answers: list
    graph_answers: list
    largest_difference: float  # of two logits
    largest_logit: float

    @property
    def equal(self) -> float | None:
        """The share of rows with the same answer; None for answers that are numbers of any precision."""
        view = self.material.task.view
        pairs = zip(self.model_answers, self.graph_answers, self.material.rows, strict=True)
        records = [(view.record(model, row), view.record(graph, row)) for model, graph, row in pairs]
        if any(isinstance(model, float) for model, _ in records):
            return None
        return float(np.mean([is_same(model, graph) for model, graph in records]))

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        return {
            "rows": len(self.graph_answers),
            "largest_difference": self.largest_difference,
            "largest_logit": self.largest_logit,
            "equal_predictions": self.equal,
        }

    def measure_gain(self) -> dict[str, Any] | None:
        """By how much the graph scores above the model on rows with gold answers; None without any."""
        material = self.material
        if material.references is None:
            return None
        task, units = material.task, material.task.units(material.rows)
        after, before = (
            task.judge.evidence(answers, material.references).by_unit(units)
            for answers in (self.graph_answers, self.model_answers)
        )
        return {
            "metric": task.judge.headline.key,
            "title": task.judge.headline.title,
            "before": total(before),
            "after": total(after),
            **paired_difference(after, before),
        }


def is_same(one: Any, other: Any) -> bool:
    """Whether two records give the same answer. Numbers of any precision within them say how sure it is."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return (isinstance(one, float) and isinstance(other, float)) or one == other


def compare(rows: EncodedMaterial, session: onnxruntime.InferenceSession) -> Comparison:
    """Ask the model and the graph about the same batches, of sizes that change."""
    from hfkit.inference.export.graph import run_graph

    model, codec = rows.saved.model, rows.saved.codec
    pieces: tuple[list, list] = ([], [])
    difference = largest = 0.0
    for batch in rows.batches(SIZES):
        with torch.inference_mode():
            outputs = (model(**codec.inputs(batch)), run_graph(session, batch))
            theirs, ours = (codec.logits(output, batch) for output in outputs)
            gap = (ours - theirs).abs().max()
            difference = max(difference, float(gap) if gap.isfinite() else float("inf"))
            largest = max(largest, float(theirs.abs().max()))
            for kept, output in zip(pieces, outputs, strict=True):
                read = codec.outputs(model, batch, known=output)
                kept.append({name: to_array(tensor) for name, tensor in read.items()})
    theirs, ours = (codec.decode(join_batches(kept), rows.encoded) for kept in pieces)
    return Comparison(rows.material, theirs, ours, difference, largest)


def refuse_different(place: str, found: dict[str, Comparison], most: float | None = None) -> None:
    """Refuse a graph whose logits are not those of the model, or not finite.

    Args:
        most: the largest difference of two logits that is allowed; default: what rounding explains.

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
