"""A saved model with its task: everything that is needed to ask it, from the output_dir of a run or a Hub id alone."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import PartialState
from datasets import Dataset, DatasetDict
from huggingface_hub import snapshot_download
from torch.utils.data import DataLoader
from transformers import PreTrainedConfig, PreTrainedModel

from hfkit.arguments.parse import nearest_word, parse
from hfkit.contract.task import Task
from hfkit.data.bad_rows import Fault
from hfkit.data.batches import rows_to_fetch, restore_row_order, evaluation_order
from hfkit.errors import DataError, UserError, first_line
from hfkit.model.weights import read_config
from hfkit.progress import track
from hfkit.tasks.classification.base import Classification
from hfkit.tasks.image_classification import ImageClassification
from hfkit.tasks.ner import NER
from hfkit.tasks.text_classification import TextClassification

KINDS: tuple[type[Task], ...] = (NER, TextClassification, ImageClassification)
# What is fetched of a Hub repository: no pickles and no code, and nothing of its folders.
FETCHED, LEFT = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"], ["*/*"]
# Flags that say which rows the run had and what it allowed them; whoever asks the model has rows of their own.
OF_THE_ROWS = (
    *("dataset", "dataset_config", "dataset_revision", "max_train_rows", "validation_share", "on_bad_row"),
    *("unit_column", "encoding", "allow_outside_images", "max_megapixels"),
)


class Answered(NamedTuple):
    """What a model says of some rows."""

    predictions: list  # one per row, as `Task.score` takes them
    likelihoods: np.ndarray | None  # (rows, labels), where the task has them


class Told(NamedTuple):
    """What a model says of one row, for programs to read; or why it was not asked."""

    prediction: Any = None  # as JSON has it
    probabilities: dict[str, float] | None = None  # of every label, where the task has them
    fault: Fault | None = None


@dataclass(frozen=True)
class SavedModel:
    """A model that was fine-tuned before, with the task it was fine-tuned for."""

    task: Task
    model: PreTrainedModel  # fp32, in evaluation mode, on the accelerator if there is one
    processor: Any
    labels: list[str]
    place: str  # as it was given: a folder or a Hub id
    folder: Path  # where its files lie
    precision: torch.dtype | None = None  # that the run judged it in, where not fp32

    @property
    def one_label(self) -> bool:
        """Whether a prediction is one of the labels."""
        return isinstance(self.task, Classification) and self.task.problem == "single-label"

    def with_usual_columns(self) -> "SavedModel":
        """The same model, for rows whose columns go by the names that its task looks for: text, tokens, image."""
        named = {field.name: None for field in fields(self.task) if field.name.endswith("_column")}
        return replace(self, task=replace(self.task, **named))

    def predictions(self, rows: Dataset, *, batch_size: int = 32) -> list:
        """One plain prediction per row of `Task.load` or `Task.unanswered`, in order: those of the run's own report.

        Raises:
            DataError: the processor makes nothing of a row.
        """
        return self.answered(rows, batch_size=batch_size).predictions

    def answered(self, rows: Dataset, *, batch_size: int = 32) -> Answered:
        """The predictions, with how likely each label is where the task knows.

        Raises:
            DataError: the processor makes nothing of a row.
        """
        return self.decoded(self.prepared(rows), batch_size=batch_size) if len(rows) else Answered([], None)

    def prepared(self, rows: Dataset) -> Dataset:
        """The model's inputs for checked rows (see `Task.prepare`).

        Raises:
            DataError: the processor makes nothing of a row.
        """
        return self.task.prepare(DatasetDict(test=rows), self.processor, self.labels)["test"]

    def decoded(self, prepared: Dataset, *, batch_size: int = 32) -> Answered:
        """What it says of the rows that these inputs were made of."""
        outputs = self.outputs(prepared, batch_size)
        predictions, _ = self.task.decode(outputs, prepared, self.labels)
        return Answered(predictions, self.task.likelihoods(outputs, prepared))

    def told(self, raw: Dataset, *, batch_size: int = 32) -> list[Told]:
        """What it says of every row of a table without answers, in order; a row at fault says what is wrong with it.

        Raises:
            UserError: the table lacks the columns that the task reads.
        """
        rows, faults = self.task.unanswered(raw, self.labels)
        known = {fault.row: fault for fault in reversed(faults)}
        asked = [row for row in range(len(rows)) if row not in known]
        try:
            found = self.answered(rows.select(asked), batch_size=batch_size)
        except DataError:  # what only the processor sees: then every row is tried by itself
            known |= self.unreadable(rows, asked)
            asked = [row for row in asked if row not in known]
            found = self.answered(rows.select(asked), batch_size=batch_size)
        told = [Told(fault=known.get(row)) for row in range(len(rows))]
        for place, (row, prediction) in enumerate(zip(asked, found.predictions, strict=True)):
            likely = None
            if found.likelihoods is not None:
                likely = dict(zip(self.labels, found.likelihoods[place].tolist(), strict=True))
            told[row] = Told(self.task.told(prediction, rows[row]), likely)
        return told

    def unreadable(self, rows: Dataset, asked: list[int]) -> dict[int, Fault]:
        """The rows that `Task.prepare` refuses, with the reason."""
        faults = {}
        for row in asked:
            try:
                self.prepared(rows.select([row]))
            except DataError as error:
                faults[row] = Fault(row, error.column or "", error.value, error.rule, error.fix)
        return faults

    def outputs(self, prepared: Dataset, batch_size: int) -> np.ndarray:
        """What `Task.compact` leaves for every prepared row, (prepared rows, ...), padded with -100."""
        # The order, batches and precision of the trainer's own judging: rounding is then the same too.
        batches = DataLoader(
            rows_to_fetch(prepared),
            batch_size=batch_size,
            sampler=evaluation_order(prepared),
            collate_fn=self.task.collator(self.processor),
        )
        found = []
        with torch.inference_mode():
            for batch in track(batches, "answering"):
                batch = {name: tensor.to(self.model.device) for name, tensor in batch.items()}
                labels = batch.pop("labels")
                with self.autocast():
                    logits = self.model(**batch).logits
                found.append(self.task.compact(logits, labels).cpu().numpy())
        return restore_row_order(padded(found), prepared)

    def autocast(self) -> AbstractContextManager:
        if self.precision is None:
            return nullcontext()
        return torch.autocast(self.model.device.type, self.precision)


@dataclass(frozen=True)
class Found:
    """A model's folder, and what its files say of its task; nothing of it is loaded yet."""

    place: str  # as it was given
    folder: Path
    kind: type[Task]
    settings: dict[str, Any]  # flags of the task, as its run had them
    run: dict[str, Any]  # all settings of that run; {} where nothing tells

    def parsed(
        self, *others: type, argv: Sequence[str] = (), own_flags: tuple[str, ...] = (), **settings: Any
    ) -> tuple[Any, ...]:
        """The task, and values of other dataclasses of flags before it: the run's own < `settings` < `argv`.

        Raises:
            UserError: a flag is unknown or wrong.
        """
        known = {field.name for kind in (*others, self.kind) for field in fields(kind)}
        if strange := [name for name in settings if name not in known]:
            raise UserError(f"--{strange[0]}", f"a model for {self.kind.name} has no such flag", "Leave it out")
        return parse((*others, self.kind), argv=list(argv), own_flags=own_flags, **{**self.settings, **settings})

    def load(self, task: Task) -> SavedModel:
        """The model itself: safetensors only, no remote code.

        Raises:
            UserError: it is not whole, or cannot be read.
        """
        config = read_config(str(self.folder))
        labels = [config.id2label[i] for i in range(config.num_labels)]
        model = task.model(str(self.folder), labels, finished=True).to(PartialState().device).eval()
        precision = precision_of(self.run, model)
        return SavedModel(task, model, task.processor(str(self.folder)), labels, self.place, self.folder, precision)


def load_saved(place: str, *, task: str | None = None, revision: str | None = None, **settings: Any) -> SavedModel:
    """A fine-tuned model, ready to be asked (see `find_saved`).

    Args:
        settings: flags of the task; they win over those of its run.

    Raises:
        UserError: there is no finished model, its task is unknown or another one, or a flag or a setting is wrong.
    """
    found = find_saved(place, task=task, revision=revision)
    return found.load(*found.parsed(**settings))


def find_saved(place: str, *, task: str | None = None, revision: str | None = None) -> Found:
    """Where a model lies and what it does.

    The task, and the flags it was trained with, stand in the report.json beside it; without one, `task` or the
    architecture say it. Flags about rows are not taken over from the run.

    Args:
        place: the output_dir of a run, any folder with a model, or a Hub id.
        task: the Hub's name of the task, such as text-classification.
        revision: branch, tag or commit of a Hub id.

    Raises:
        UserError: there is no finished model, its task is unknown or another one, or a setting is wrong.
    """
    folder = folder_of(place, revision)
    report, config = run_of(folder), read_config(str(folder))
    kind, run = kind_of(place, report, config, task), report.get("settings", {})
    known = {field.name for field in fields(kind)} - {*OF_THE_ROWS}
    try:
        of_config = kind.flags_of(config)
        settings = {name: value for name, value in run.items() if name in known} if report else of_config
        parse((kind,), argv=[], **settings)
    except UserError as error:
        raise UserError(f"model '{place}'", f"it cannot be asked ({error})", "Mend its files") from error
    return Found(place, folder, kind, settings, run)


def folder_of(place: str, revision: str | None) -> Path:
    """The local folder of a model, downloaded first where `place` is a Hub id.

    Raises:
        UserError: there is no such folder, it holds no whole model, or the Hub did not give it.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise UserError(f"revision '{revision}'", f"'{place}' is a folder, which has none", "Leave --revision out")
        if not (folder / "config.json").is_file():
            raise UserError(f"folder '{place}'", "a saved model has a config.json", missing_model(folder))
        return folder
    if place.startswith((".", "/", "~")) or place.count("/") != 1:
        raise UserError(
            f"model '{place}'", "it is no folder, and a Hub id is written OWNER/NAME", "Check the path or the Hub id"
        )
    try:
        return Path(snapshot_download(place, revision=revision, allow_patterns=FETCHED, ignore_patterns=LEFT))
    except (OSError, ValueError) as error:
        raise UserError(
            f"model '{place}'",
            f"it is no local folder, and the Hub did not give it ({first_line(error)})",
            "Check the path or the Hub id, the revision and the network",
        ) from error


def missing_model(folder: Path) -> str:
    """What to do about a folder without a model."""
    if (folder / "adapter_config.json").is_file():
        return "This is an adapter alone: give the output_dir of its run, where it is merged into the model"
    if any(folder.glob("checkpoint-*")):
        return "The run has not ended: start the same command again, or give one of its checkpoint folders"
    return "Give the output_dir of a run that has ended"


def run_of(folder: Path) -> dict[str, Any]:
    """The report.json of a model's folder, as far as it says how to ask the model; {} without one.

    Raises:
        UserError: it is none.
    """
    file = folder / "report.json"
    if not file.is_file():
        return {}
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        return {"task": {"name": str(report["task"]["name"])}, "settings": dict(report["settings"])}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"file '{file}'",
            f"it is not the report of a run ({first_line(error)})",
            "Give the output_dir of a run that ended with this version of hfkit, or remove the file",
        ) from error


def kind_of(place: str, report: dict[str, Any], config: PreTrainedConfig, asked: str | None) -> type[Task]:
    """The class of the task that a model does.

    Raises:
        UserError: none is known, or another one than was asked for.
    """
    kinds = {kind.name: kind for kind in KINDS}
    if asked is not None and asked not in kinds:
        raise UserError(f"task '{asked}'", f"one of {', '.join(kinds)}", f"Did you mean {nearest_word(asked, kinds)}?")
    heads = config.architectures or []
    named = [kind for kind in KINDS if any(head_of(kind) in head for head in heads)]
    name = report["task"]["name"] if report else named[0].name if named else asked
    if name not in kinds:
        raise UserError(
            f"model '{place}'",
            f"its task is one of {', '.join(kinds)}, and here it is {name or ', '.join(heads) or 'not said'}",
            "Give a model that was fine-tuned for one of them",
        )
    if asked not in (None, name):
        raise UserError(f"task '{asked}'", f"the model '{place}' was made for {name}", "Leave --task out")
    return kinds[name]


def head_of(kind: type[Task]) -> str:
    """What the architectures of a task have in their names: 'ForTokenClassification'."""
    return kind.auto_model.__name__.removeprefix("AutoModel")


def precision_of(settings: dict[str, Any], model: PreTrainedModel) -> torch.dtype | None:
    """What the trainer judged the model in."""
    if settings.get("bf16") is True:
        return torch.bfloat16
    # On a CPU half floats are slow and cover little.
    return torch.float16 if settings.get("fp16") is True and model.device.type == "cuda" else None


def padded(pieces: list[np.ndarray]) -> np.ndarray:
    """Batches of unlike width as one array, (rows, width, ...), the rest -100."""
    widest = max(piece.shape[1] for piece in pieces)
    return np.concatenate(
        [
            np.pad(
                piece,
                [(0, 0), (0, widest - piece.shape[1]), *[(0, 0)] * (piece.ndim - 2)],
                constant_values=-100,
            )
            for piece in pieces
        ]
    )
