"""A saved model with its task: all it takes to ask it, from the output_dir of a run or a Hub id alone."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import PartialState
from datasets import Dataset
from huggingface_hub import snapshot_download
from transformers import PreTrainedConfig, PreTrainedModel

from hfkit.arguments.parse import nearest_word, parse
from hfkit.contract.abilities import Explained, Likely, find_unreadable, list_choices
from hfkit.contract.answering import compute_outputs
from hfkit.contract.codec import Codec
from hfkit.contract.target import names_of
from hfkit.contract.task import Task
from hfkit.contract.view import Choice, Picture
from hfkit.data.bad_rows import Fault
from hfkit.errors import DataError, UserError, first_line
from hfkit.model.weights import read_config
from hfkit.runtime.files import expand_home, read_object
from hfkit.runtime.machine import has_bfloat16

# The files of a Hub repository that are downloaded: no code, and nothing from subfolders. Pickles only where there is
# nothing else: their tensors are read, and they are never run.
PICKLES = ["pytorch_model*.bin"]
FETCHED, LEFT = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"], ["*/*"]
LARGEST_MAP = 640  # pixels of the longer side of a picture under a map


class Predictions(NamedTuple):
    """The answers to some rows."""

    answers: list  # one per row, as the judge takes them
    likelihoods: np.ndarray | None  # (rows, labels), if the codec knows them


class PredictedRow(NamedTuple):
    """The answer to one row, or why the model was not asked."""

    answer: Any = None  # as the judge takes it
    record: Any = None  # as JSON has it
    row: Mapping[str, Any] | None = None  # in the columns of the task
    likelihoods: dict[str, float] | None = None  # of every label, if the codec knows them
    fault: Fault | None = None
    looked_at: Picture | None = None  # the row under the map of what its answer rests on, if that was asked for


@dataclass(frozen=True)
class SavedModel:
    """A fine-tuned model with its task."""

    task: Task
    model: PreTrainedModel  # fp32, in evaluation mode, on the accelerator if there is one
    codec: Codec
    place: str  # as it was given: a folder or a Hub id
    folder: Path  # with its files
    precision: torch.dtype | None = None  # in which its run evaluated it; None: fp32

    @property
    def labels(self) -> list[str]:
        """The labels of its head; [] if it has none."""
        return names_of(self.codec.target)

    @property
    def choices(self) -> Choice:
        """The labels that it can answer with; none if its answers are of another kind."""
        return list_choices(self.task.view, self.codec.target)

    @property
    def ranks_labels(self) -> bool:
        """Whether it chooses one label a row, and says how likely each label is."""
        one = self.task.view.answers is Choice and not self.choices.several
        return one and isinstance(self.codec, Likely)

    def with_usual_columns(self) -> "SavedModel":
        """The same model, for rows whose columns have the names that its task looks for without flags."""
        named = {field.name: None for field in fields(self.task) if field.name.endswith("_column")}
        return replace(self, task=replace(self.task, **named))

    def in_folder(self, folder: Path) -> "SavedModel":
        """The same model, for rows that name files: relative paths start at this folder."""
        # Where paths start is a flag of the task. The codec stays: checked rows have absolute paths.
        return replace(self, task=replace(self.task, dataset=str(folder)))

    def predictions(self, rows: Dataset, *, batch_size: int = 32) -> list:
        """One plain prediction per checked row, in order: those of the run's own report.

        Raises:
            DataError: the processor makes nothing of a row.
        """
        return self.predict(rows, batch_size=batch_size).answers

    def predict(self, rows: Dataset, *, batch_size: int = 32) -> Predictions:
        """The answers to checked rows, with or without gold answers.

        Raises:
            DataError: the processor makes nothing of a row.
        """
        return self.predict_encoded(self.encode(rows), batch_size=batch_size) if len(rows) else Predictions([], None)

    def encode(self, rows: Dataset) -> Dataset:
        """The model's inputs for checked rows; their gold answers, if any, are left out.

        Raises:
            DataError: the processor makes nothing of a row.
        """
        return self.codec.encode(rows, split="test", answers=False)

    def predict_encoded(self, encoded: Dataset, *, batch_size: int = 32) -> Predictions:
        """The answers to rows that `encode` has made inputs of."""
        outputs = self.outputs(encoded, batch_size)
        likelihoods = self.codec.likelihoods(outputs, encoded) if isinstance(self.codec, Likely) else None
        return Predictions(self.codec.decode(outputs, encoded), likelihoods)

    def outputs(self, encoded: Dataset, batch_size: int) -> dict[str, np.ndarray]:
        """The outputs for every encoded row (see `Codec.outputs`), padded with -100."""
        return compute_outputs(self.codec, self.model, encoded, batch_size, self.autocast)

    def autocast(self) -> AbstractContextManager:
        if self.precision is None:
            return nullcontext()
        return torch.autocast(self.model.device.type, self.precision)

    def explain(self, rows: Dataset, answers: Sequence[Any], most: int = LARGEST_MAP) -> list[Picture]:
        """Checked rows under maps of the places that the answers to them rest on (see `Explained`).

        Args:
            most: pixels of the longer side of a picture.

        Raises:
            UserError: the task's rows are no pictures, or the model's architecture does not allow it.
        """
        if not isinstance(self.codec, Explained):
            rule = f"a model for {self.task.key} has no map of what its answers rest on"
            raise UserError(f"model '{self.place}'", rule, "Ask it without --explain")
        if not len(rows):
            return []
        maps = self.codec.saliency(self.model, self.encode(rows), answers)
        return [self.codec.overlay(row, found, most) for row, found in zip(rows, maps, strict=True)]

    def predict_table(self, raw: Dataset, *, batch_size: int = 32, explained: int = 0) -> list[PredictedRow]:
        """The answer to every row of a table, in order; a bad row has its fault instead.

        Args:
            explained: how many rows from the first on show what their answer rests on (see `explain`).

        Raises:
            UserError: the table lacks the columns that the task reads, or the model cannot be explained.
        """
        rows, faults = self.task.rows.to_predict(raw)
        bad = {fault.row: fault for fault in reversed(faults)}
        good = [row for row in range(len(rows)) if row not in bad]
        try:
            found = self.predict(rows.select(good), batch_size=batch_size)
        except DataError:  # only the processor sees it
            bad |= {fault.row: fault for fault in find_unreadable(self.codec, rows, good)}
            good = [row for row in good if row not in bad]
            found = self.predict(rows.select(good), batch_size=batch_size)
        predicted = [PredictedRow(fault=bad.get(row)) for row in range(len(rows))]
        for place, (row, answer) in enumerate(zip(good, found.answers, strict=True)):
            likelihoods = None
            if found.likelihoods is not None:
                likelihoods = dict(zip(self.labels, found.likelihoods[place].tolist(), strict=True))
            own = rows[row]
            predicted[row] = PredictedRow(answer, self.task.view.record(answer, own), own, likelihoods)
        if explained:
            wanted = [row for row in good if row < explained]
            drawn = self.explain(rows.select(wanted), found.answers[: len(wanted)])
            for row, picture in zip(wanted, drawn, strict=True):
                predicted[row] = predicted[row]._replace(looked_at=picture)
        return predicted


@dataclass(frozen=True)
class SavedFiles:
    """A model's folder, and what its files say of its task. The model itself is not loaded yet."""

    place: str  # as it was given
    folder: Path
    kind: type[Task]
    config: PreTrainedConfig
    settings: dict[str, Any]  # flags of the task, from its run
    run: dict[str, Any]  # all settings of that run; {} without a report

    def parse(
        self, *others: type, argv: Sequence[str] = (), own_flags: tuple[str, ...] = (), **settings: Any
    ) -> tuple[Any, ...]:
        """The task, after values of other dataclasses of flags: the run's own flags < `settings` < `argv`.

        Raises:
            UserError: a flag is unknown or wrong.
        """
        known = {field.name for kind in (*others, self.kind) for field in fields(kind)}
        if strange := [name for name in settings if name not in known]:
            raise UserError(f"--{strange[0]}", f"a model for {self.kind.key} has no such flag", "Leave it out")
        flags = {**self.settings, **settings}
        try:
            return parse((*others, self.kind), argv=list(argv), own_flags=own_flags, **flags)
        except UserError:
            self.refuse_broken_settings()
            raise

    def refuse_broken_settings(self) -> None:
        """Refuse a model whose own files hold a wrong flag: the user's flags are not to blame.

        Raises:
            UserError: naming it.
        """
        try:
            parse((self.kind,), argv=[], **self.settings)
        except UserError as error:
            raise broken_files_error(self.place, error) from error

    def load(self, task: Task) -> SavedModel:
        """The model itself; none of its code is run.

        Raises:
            UserError: it is incomplete, or cannot be read.
        """
        codec = task.codec(str(self.folder), task.target_of(self.config))
        model = codec.model(finished=True).to(PartialState().device).eval()
        return SavedModel(task, model, codec, self.place, self.folder, find_precision(self.run, model))


def load_saved(place: str, *, task: str | None = None, revision: str | None = None, **settings: Any) -> SavedModel:
    """A fine-tuned model, ready to be asked (see `find_saved`).

    Args:
        settings: flags of the task; they win over those of its run.

    Raises:
        UserError: there is no finished model, its task is unknown or another one, or a flag or a setting is wrong.
    """
    found = find_saved(place, task=task, revision=revision)
    return found.load(*found.parse(**settings))


def find_saved(place: str, *, task: str | None = None, revision: str | None = None) -> SavedFiles:
    """A model's folder, its task, and the flags it was trained with.

    The task is that of its configuration, otherwise of the report.json beside it, otherwise `task`, otherwise the first
    that fits its architecture. The flags come from the report, except those about rows.

    Args:
        place: the output_dir of a run, any folder with a model, or a Hub id.
        task: the key of a task, or a tag of the Hub that only one task has.
        revision: branch, tag or commit of a Hub id.

    Raises:
        UserError: there is no finished model, or its task is unknown or another one.
    """
    folder = find_folder(place, revision)
    report, config = read_run(folder), read_config(str(folder))
    kind, run = choose_task(place, report, config, task), report.get("settings", {})
    known = {field.name for field in fields(kind)} - row_flags(kind)
    try:
        of_config = kind.flags_of(config)
    except UserError as error:
        raise broken_files_error(place, error) from error
    settings = {name: value for name, value in run.items() if name in known} if report else of_config
    return SavedFiles(place, folder, kind, config, settings, run)


def broken_files_error(place: str, error: UserError) -> UserError:
    """The error for a model whose files hold a wrong setting."""
    return UserError(f"model '{place}'", f"it cannot be asked ({error})", "Mend its files")


def row_flags(kind: type[Task]) -> set[str]:
    """The flags of a task that are about the rows of one run."""
    return {field.name for field in fields(Task)} | {*kind.row_flags}


def find_folder(place: str, revision: str | None) -> Path:
    """The local folder of a model, downloaded first if `place` is a Hub id.

    Raises:
        UserError: there is no such folder, it holds no whole model, or the Hub did not give it.
    """
    folder = expand_home(place)
    if os.path.isdir(folder):
        if revision is not None:
            raise UserError(f"revision '{revision}'", f"'{place}' is a folder, which has none", "Leave --revision out")
        if not os.path.lexists(folder / "config.json"):
            raise UserError(f"folder '{place}'", "a saved model has a config.json", suggest_folder(folder))
        return folder
    if place.startswith((".", "/", "~")) or place.count("/") != 1:
        raise UserError(
            f"model '{place}'", "it is no folder, and a Hub id is written OWNER/NAME", "Check the path or the Hub id"
        )
    try:
        fetch = partial(snapshot_download, place, revision=revision, ignore_patterns=LEFT)
        folder = Path(fetch(allow_patterns=FETCHED))
        return folder if any(folder.glob("*.safetensors")) else Path(fetch(allow_patterns=[*FETCHED, *PICKLES]))
    except (OSError, ValueError) as error:
        raise UserError(
            f"model '{place}'",
            f"it is no local folder, and the Hub did not give it ({first_line(error)})",
            "Check the path or the Hub id, the revision and the network",
        ) from error


def suggest_folder(folder: Path) -> str:
    """The fix for a folder without a model."""
    if (folder / "adapter_config.json").is_file():
        return "This is an adapter alone: give the output_dir of its run, where it is merged into the model"
    if any(folder.glob("checkpoint-*")):
        return "The run has not ended: start the same command again, or give one of its checkpoint folders"
    return "Give the output_dir of a run that has ended"


def read_run(folder: Path) -> dict[str, Any]:
    """The task and the settings in the report.json of a model's folder; {} without one.

    Raises:
        UserError: it is no report.
    """
    file = folder / "report.json"
    if not os.path.lexists(file):
        return {}
    fix = "Give the output_dir of a run that ended with this version of hfkit, or remove the file"
    report = read_object(file, f"file '{file}'", fix)
    try:
        return {"task": {"key": str(report["task"]["key"])}, "settings": dict(report["settings"])}
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(f"file '{file}'", f"it is not the report of a run ({first_line(error)})", fix) from error


def find_task(name: str) -> type[Task]:
    """The task with this key, or the only one with this tag of the Hub.

    Raises:
        UserError: there is none, or there are several.
    """
    from hfkit.tasks import TASKS

    keys = {task.key: task for task in TASKS}
    tagged = [task for task in TASKS if task.tag == name]
    if name in keys or len(tagged) == 1:
        return keys.get(name) or tagged[0]
    if tagged:
        shared = " and ".join(task.key for task in tagged)
        raise UserError(
            f"task '{name}'", f"it is the Hub's tag of {shared}", f"Name one of them, such as {tagged[0].key}"
        )
    raise UserError(f"task '{name}'", f"one of {', '.join(keys)}", f"Did you mean {nearest_word(name, keys)}?")


def choose_task(place: str, report: dict[str, Any], config: PreTrainedConfig, asked: str | None) -> type[Task]:
    """The class of the task that a model does.

    Raises:
        UserError: none is known, or another one than was asked for.
    """
    from hfkit.tasks import TASKS

    given = None if asked is None else find_task(asked)
    key = config.to_dict().get("hfkit_task") or (report["task"]["key"] if report else None)
    heads = config.architectures or []
    if key is not None:
        fitting = [task for task in TASKS if task.key == key]
    else:
        fitting = [task for task in TASKS if fits_head(task, config)]
    if not fitting and (key is not None or given is None):
        raise UserError(
            f"model '{place}'",
            f"its task is one of {', '.join(task.key for task in TASKS)},"
            f" and here it is {key or ', '.join(heads) or 'not said'}",
            "Give a model that was fine-tuned for one of them",
        )
    if given is None:
        return first_that_accepts(config, fitting)
    if fitting and given not in fitting:
        made_for = " or ".join(task.key for task in fitting)
        raise UserError(f"task '{asked}'", f"the model '{place}' was made for {made_for}", "Leave --task out")
    return given


def first_that_accepts(config: PreTrainedConfig, tasks: Sequence[type[Task]]) -> type[Task]:
    """The first of some tasks that takes a model's labels for its own; the first of all if none does."""
    for task in tasks:
        try:
            task.flags_of(config)
        except UserError:
            continue
        return task
    return tasks[0]


def fits_head(task: type[Task], config: PreTrainedConfig) -> bool:
    """Whether a model's class, as its configuration names it, is one that the task trains."""
    heads = config.architectures or []
    head_name = task.auto_model.__name__.removeprefix("AutoModel")  # 'ForTokenClassification'
    if any(head_name in head for head in heads):
        return True
    # Classes that write go by other names: AutoModelForSeq2SeqLM makes a T5ForConditionalGeneration.
    made = task.auto_model._model_mapping.get(type(config), ())
    return any(one.__name__ in heads for one in (made if isinstance(made, tuple) else (made,)))


def find_precision(settings: dict[str, Any], model: PreTrainedModel) -> torch.dtype | None:
    """The precision in which the trainer evaluated the model; None for fp32.

    Where it was measured rather than asked for, a processor that would have to emulate it computes in fp32.
    """
    if settings.get("bf16") is True:
        emulated = model.device.type == "cpu" and not has_bfloat16()
        return None if emulated and settings.get("precision") == "auto" else torch.bfloat16
    # On a CPU half floats are slow and cover little.
    return torch.float16 if settings.get("fp16") is True and model.device.type == "cuda" else None
