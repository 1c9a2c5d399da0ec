"""The contract of a task: data in, model inputs out, arrays back to plain values, one score."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from hfkit.contract.values import Found as Found
from hfkit.contract.values import Parsed as Parsed
from hfkit.contract.values import Prompt as Prompt
from hfkit.contract.values import Tokens as Tokens

# What lies above the tasks knows them through this module alone.
from hfkit.data.bad_rows import Fault as Fault
from hfkit.data.bad_rows import noted as noted
from hfkit.data.text.texts import JOINT as JOINT
from hfkit.data.text.tokenizers import load_tokenizer as load_tokenizer
from hfkit.data.text.tokenizers import positions_of as positions_of
from hfkit.errors import UserError
from hfkit.model.depth import depth_names, parameter_depths
from hfkit.model.weights import load_weights, readable, refuse_unfinished
from hfkit.model.weights import read_config as read_config
from hfkit.model.weights import whole_model as whole_model
from hfkit.samples import resolve_checkpoint


@dataclass(frozen=True)
class Task(ABC):
    """What one kind of data and label means. The trainer, the baselines and the report see a task only through this.

    A task is a value: its fields are the flags a user sets. It holds no data and no model.
    """

    dataset: str = field(default="sample", metadata={"help": "'sample', a dataset id on the Hub, or a local folder"})
    dataset_config: str | None = field(
        default=None, metadata={"help": "configuration of a Hub dataset that has several"}
    )
    dataset_revision: str | None = field(
        default=None, metadata={"help": "branch, tag or commit of a Hub dataset, such as refs/convert/parquet"}
    )
    max_train_rows: int | None = field(
        default=None, metadata={"help": "train on this many rows, evenly spaced over the split; default: all"}
    )
    unit_column: str | None = field(
        default=None,
        metadata={"help": "column of what rows belong to, such as a patient; intervals then draw those, not rows"},
    )

    name: ClassVar[str]  # the Hub's pipeline tag, e.g. "token-classification"
    auto_model: ClassVar[type]  # the AutoModelFor… class that is trained and saved
    reads: ClassVar[Literal["text", "pictures"]] = "text"  # what one input is, where it stands alone
    sample: ClassVar[str] = "sample-text"  # the bundled checkpoint that 'sample' stands for
    headline: ClassVar[str]  # the key of `score` that decides, e.g. "f1"; a property where the flags choose it
    unit: ClassVar[str]  # what the bootstrap resamples, e.g. "sentence"

    @property
    def varies(self) -> Literal["rows", "batches"] | None:
        """What `training_collator` draws anew in every epoch: something of each row, of whole batches, or nothing."""
        return None

    def load(self) -> DatasetDict:
        """Checked rows of the splits train, validation and test, in the task's own columns.

        Raises:
            DataError: rows at fault, by split, row and column.
            UserError: the dataset as a whole cannot be used.
        """
        return self.checked(self.found())

    @abstractmethod
    def found(self, *one: str | None) -> Found:
        """The splits train, validation and test as they came.

        Args:
            one: the split that alone is wanted, as test (see `one_split`).

        Raises:
            UserError: they cannot be read, or have no columns for this task.
        """

    @abstractmethod
    def checked(self, found: Found, known: list[str] | None = None) -> DatasetDict:
        """What `load` promises, of rows that were found.

        Args:
            known: the labels of a finished model, which test is held against; train may then be anything, or missing.

        Raises:
            DataError: rows at fault, by split, row and column (see `bad_rows.without`).
            UserError: the dataset as a whole cannot be used.
        """

    @property
    def input_column(self) -> str:
        """The column that `unanswered` looks into where rows are made of bare texts or pictures."""
        return "text"

    def unanswered(self, raw: Dataset, labels: list[str]) -> tuple[Dataset, list[Fault]]:
        """Rows without answers in the task's own columns, one per raw row, and the rows that cannot be asked.

        `prepare` takes them once those at fault are left out. Where it wants an answer one of the labels stands, which
        says nothing.

        Raises:
            UserError: the columns do not fit, or the task has no such rows.
        """
        raise UserError(f"task '{self.name}'", "it has no rows without answers", "Use a model of another task")

    def judged(self, labels: list[str], split: str | None = None, *, whole: bool = False) -> DatasetDict:
        """Checked rows with answers that a finished model is judged on: `test`.

        Args:
            labels: what the model knows; no other answer is taken.
            split: the name of the one that becomes test; None takes that of this name, or the only one.
            whole: train and validation too, for contenders that learn.

        Raises:
            DataError: rows at fault, or with answers that the model does not know, by split, row and column.
            UserError: the dataset as a whole cannot be used.
        """
        return self.checked(self.found() if whole else self.found(split), labels)

    @abstractmethod
    def labels(self, dataset: DatasetDict) -> list[str]:
        """The label names in id order: one map over the union of the splits."""

    @abstractmethod
    def processor(self, checkpoint: str) -> Any:
        """The tokenizer or image/audio processor that belongs to `checkpoint`."""

    @abstractmethod
    def prepare(self, dataset: DatasetDict, processor: Any, labels: list[str]) -> DatasetDict:
        """Model inputs for every split, with the extra columns that `decode` needs to find its way back."""

    @abstractmethod
    def collator(self, processor: Any) -> Any:
        """Prepared rows -> one batch of tensors, the same every time: what a model is judged and probed on."""

    def training_collator(self, processor: Any, seed: int) -> Any:
        """The collator of training, which may change a batch at random where its labels stay true.

        What it draws is a pure function of the seed, the epoch and the rows (see `draws.seeded`): a resumed run and any
        number of loader workers then draw the same. The trainer sets its attribute `epoch` as each one begins.
        """
        return self.collator(processor)

    def cached(self, collator: Any, rows: Dataset, folder: Path, budget: int) -> Any:
        """One of the two collators with a place in `folder`, at most `budget` bytes, for what it makes of `rows`: the
        same batches, whatever happens to the folder, at another cost.
        """
        return collator

    @abstractmethod
    def compact(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The part of the logits that `decode` reads, taken on the device before batches are gathered."""

    @abstractmethod
    def decode(self, outputs: np.ndarray, prepared: Dataset, labels: list[str]) -> tuple[list, list]:
        """(predictions, references) as plain values, one of each per row of the split that `prepare` was given.

        `outputs` is what `compact` left for every prepared row, padded with -100: (prepared rows, ...). It takes the
        prepared rows beside the arrays because a long document is several of them and a word may have no token.
        """

    def probabilities(self, outputs: np.ndarray, prepared: Dataset) -> np.ndarray | None:
        """What `outputs` (see `decode`) say of every class, (rows, labels); None unless a row has one of several."""
        return None

    def likelihoods(self, outputs: np.ndarray, prepared: Dataset) -> np.ndarray | None:
        """How likely each label is, (rows, labels): of several labels a row each by itself; None where nothing says."""
        return self.probabilities(outputs, prepared)

    @abstractmethod
    def references(self, split: Dataset) -> list:
        """The gold answers of a loaded split, as plain values: what `decode` returns as its second list."""

    def units(self, split: Dataset) -> np.ndarray | None:
        """What each row of a loaded split belongs to, (rows,): rows of one unit are no independent evidence.

        None where every row stands for itself. What `unit_column` names is the column `unit` of the loaded rows.
        """
        return None if self.unit_column is None else np.array(split["unit"])

    def faultless(self, references: list) -> list:
        """The references as predictions: what a model that makes no mistake would answer."""
        return references

    @abstractmethod
    def score(self, predictions: list, references: list) -> dict[str, float]:
        """The judge: plain values in, plain floats out. Every contender, trained or not, is measured by this."""

    @abstractmethod
    def tallies(self, predictions: list, references: list) -> np.ndarray:
        """Additive counts of each row, (rows, counts): the headline is a function of their sum (see `headline_of`)."""

    @abstractmethod
    def headline_of(self, sums: np.ndarray) -> np.ndarray:
        """The headline score of summed tallies: (..., counts) -> (...). The bootstrap resamples rows through this."""

    @abstractmethod
    def describe(self, dataset: DatasetDict, prepared: Mapping[str, Dataset] | None = None) -> dict[str, Any]:
        """Facts for the report: rows and labels per split, duplicates, what was converted or skipped.

        Neither need hold every split: of a model that is only judged there is test.
        """

    @abstractmethod
    def breakdown(self, predictions: list, references: list) -> dict[str, Any]:
        """For the report: scores per class and a confusion table, as its schema has them; {} where there are none."""

    @abstractmethod
    def errors(self, predictions: list, references: list, rows: Dataset, limit: int) -> list[dict[str, Any]]:
        """For the report: at most `limit` instructive errors, as its schema has them; [] where there are none."""

    def content(self, rows: Dataset) -> list[str]:
        """What makes two loaded rows the same input, one string per row."""
        return [self.shown(row)["text"] for row in rows]

    def tokens(self, rows: Dataset, processor: Any) -> Tokens | None:
        """Loaded rows as tokens, neither cut off nor in windows; None where a model reads none.

        Raises:
            UserError: a flag of length does not fit the tokenizer.
        """
        return None

    @abstractmethod
    def shown(self, row: dict[str, Any]) -> dict[str, str]:
        """A loaded row for the eye: its `text`, or its `picture` as a data URI; the other one is empty."""

    @abstractmethod
    def said(self, answer: Any, row: dict[str, Any]) -> str:
        """A prediction or a reference of a loaded row, in words."""

    def told(self, prediction: Any, row: Mapping[str, Any]) -> Any:
        """A prediction for a row of `load` or `unanswered` as JSON has it, for programs to read."""
        return prediction

    def examples(self, rows: Dataset, limit: int) -> dict[str, dict[str, str]]:
        """For the report: a loaded row for each of at most `limit` labels, as its schema has them; {} for numbers."""
        return {}

    def pictures(self, prepared: Dataset, collator: Any, limit: int) -> list[dict[str, str]]:
        """For the report: at most `limit` prepared rows as `collator` gives them to the model; [] for text."""
        return []

    def prompt_names(self, labels: list[str]) -> list[str]:
        """What the answers of a prompt are made of: the labels, or less where several of them say one thing."""
        return labels

    def prompt(
        self, example: Mapping[str, Any], labels: Mapping[str, str], shots: Sequence[Mapping[str, Any]]
    ) -> Prompt:
        """What to ask of a loaded row, whose own answer is not looked at, after the rows `shots` with theirs.

        Args:
            labels: what each of `prompt_names` is called in words.

        Raises:
            UserError: a prompt cannot do this task.
        """
        raise UserError(f"task '{self.name}'", "a prompt cannot do this task", "Use another baseline")

    def answer(self, completion: str, example: Mapping[str, Any], labels: Mapping[str, str]) -> Parsed:
        """What a language model's `completion` says of a loaded row; `labels` as `prompt` took them.

        Raises:
            UserError: a prompt cannot do this task.
        """
        raise UserError(f"task '{self.name}'", "a prompt cannot do this task", "Use another baseline")

    def features(self, outputs: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """What a linear probe reads of a frozen backbone's outputs: (batch, features), or (batch, tokens, features)
        where every token has a label.
        """
        return outputs.last_hidden_state

    def targeted(self, prepared: Dataset, rows: Dataset, labels: list[str]) -> Dataset:
        """`prepared` with `labels` (what the loss takes) and `row` (of the split) beside its inputs, one row each.

        For tasks with one answer per row. Contenders that make inputs of their own are fitted and decoded through it.

        Raises:
            UserError: the task has no such rows.
        """
        raise UserError(f"task '{self.name}'", "its rows have more than one answer each", "Use another baseline")

    def weights(self, prepared: Dataset) -> Tensor | None:
        """How much each label counts in the loss, (labels,), by what the training rows hold; None: all alike."""
        return None

    def decision_bias(self, logits: np.ndarray, prepared: Dataset, labels: list[str]) -> np.ndarray | None:
        """What to add to the logits, (labels,), so that the headline on these rows is best; None where nothing helps.

        Cross-entropy puts the decision where accuracy is best, and a headline like F1 often wants it elsewhere.

        Args:
            logits: (prepared rows, ..., labels) of rows that were not trained on, padded with -100.
        """
        return None

    def loss(
        self,
        outputs: Any,
        labels: Tensor,
        num_items_in_batch: Tensor | int | None = None,
        *,
        label_smoothing: float = 0.0,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Cross-entropy over every label of the optimizer step, whatever the micro-batches and processes are.

        Many heads of transformers accept `num_items_in_batch` and ignore it, so that gradient accumulation and several
        processes each multiply the gradient. Here the sum over labels is divided once by their count in the whole step.

        Args:
            outputs: the model's output; `logits` is (batch, ..., labels).
            labels: ids, (batch, ...); -100 is ignored.
            num_items_in_batch: labels in the whole step, over all micro-batches and processes; None takes this batch's.
            weights: of each label, (labels,).
        """
        logits = outputs["logits"].float()
        total = torch.nn.functional.cross_entropy(
            logits.view(-1, logits.shape[-1]),
            labels.view(-1),
            weights if weights is None else weights.to(logits),
            ignore_index=-100,
            reduction="sum",
            label_smoothing=label_smoothing,
        )
        count = (labels != -100).sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
        return total / count.clamp(min=1)

    def path(self, checkpoint: str) -> str:
        """The folder or Hub id that `checkpoint` stands for (see `resolve_checkpoint`)."""
        return resolve_checkpoint(self.sample if checkpoint == "sample" else checkpoint)

    def head(self, labels: list[str]) -> dict[str, Any]:
        """What a model's configuration says of its head."""
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
        }

    @classmethod
    def flags_of(cls, config: PreTrainedConfig) -> dict[str, Any]:
        """What a saved model's configuration says of the flags it was trained with, where no report tells.

        Raises:
            UserError: its labels are none of this task.
        """
        return {}

    def model(
        self,
        checkpoint: str,
        labels: list[str],
        *,
        pretrained: bool = True,
        finished: bool = False,
        blocks: Sequence[str] = (),
    ) -> PreTrainedModel:
        """A plain `AutoModelFor…` with one logit per label: fp32 weights, safetensors only, no remote code.

        The head is fresh where the checkpoint has none or one for another number of labels. `pretrained=False` builds
        the same architecture from random weights; `finished` refuses a checkpoint that lacks any weight, those of the
        head too; `blocks` are those of an architecture hfkit does not know.

        Raises:
            UserError: the checkpoint cannot be found or read, names weights outside its folder, or lacks some that it
                should have.
        """
        path, named = self.path(checkpoint), f"checkpoint '{checkpoint}'"
        config = read_config(path, **self.head(labels))
        if not pretrained:
            with readable(self.auto_model, named):
                return self.auto_model.from_config(config, dtype=torch.float32, trust_remote_code=False)
        model, info = load_weights(self.auto_model, path, config, named, ignore_mismatched_sizes=True)
        fresh = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}
        if finished:
            refuse_unfinished(checkpoint, fresh)
            return model
        depths, head = parameter_depths(model, blocks), len(depth_names(model, blocks)) - 1
        lost = sorted(key for key in fresh if key in depths and depths[key] < head)
        if lost:
            raise UserError(
                named,
                f"it has no weights for {len(lost)} parameters below the head ({', '.join(lost[:3])}, …)",
                f"Use a checkpoint of the architecture '{config.model_type}'",
            )
        return model
