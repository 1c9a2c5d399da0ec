"""One pass of the frozen checkpoint over all rows, read in every way that suits it, for all contenders that want it."""

import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import PartialState
from datasets import Dataset, DatasetDict
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from hfkit.baselines.base import Baseline
from hfkit.baselines.frozen.feature_cache import key_of, read, write
from hfkit.baselines.frozen.linear import Features
from hfkit.contract.task import Task
from hfkit.data.batches import rows_to_fetch, is_text, text_lengths
from hfkit.progress import track

BATCH = 64  # rows
OWN = "as the task reads it"
MEAN = "mean"  # over the tokens of a text that are no padding


class FrozenFeatures(NamedTuple):
    """What the frozen checkpoint makes of every row."""

    prepared: DatasetDict
    labels: list[str]
    poolings: dict[str, dict[str, Features]]  # by pooling and split; the first is what the task reads
    facts: dict[str, Any]  # where they came from, and what the pass has cost


@dataclass(frozen=True)
class OnFrozenFeatures(Baseline):
    """A contender on features of the frozen checkpoint.

    All of them share one pass of the backbone: while the same rows are in memory, and in `cache_dir` beyond that.
    """

    checkpoint: str
    cache_dir: str | None = None  # folder of features for later runs, and for others at the same time

    def features(self, task: Task, dataset: DatasetDict, without: tuple[str, ...] = ()) -> FrozenFeatures:
        """The features of all rows, computed unless they are there already; splits `without` them may be missing."""
        return frozen_features(task, dataset, self.checkpoint, self.cache_dir, without)


class _Held(NamedTuple):
    """The features that were used last, of rows that are still in use."""

    task: Task
    checkpoint: str
    rows: dict[str, weakref.ref]
    found: FrozenFeatures

    def are_of(self, task: Task, checkpoint: str, dataset: DatasetDict) -> bool:
        same = self.rows.keys() == dataset.keys() and all(ref() is dataset[split] for split, ref in self.rows.items())
        return same and self.task == task and self.checkpoint == checkpoint


# They go when the training rows go.
_held: weakref.WeakKeyDictionary[Dataset, _Held] = weakref.WeakKeyDictionary()


def frozen_features(
    task: Task,
    dataset: DatasetDict,
    checkpoint: str,
    cache_dir: str | None = None,
    without: tuple[str, ...] = (),
) -> FrozenFeatures:
    """What the frozen `checkpoint` makes of every row: from memory, from `cache_dir`, or by one pass.

    Args:
        without: splits that need no pass; what lacks them is not kept for others.
    """
    held = _held.get(dataset["train"])
    if held is not None and held.are_of(task, checkpoint, dataset):
        return held.found._replace(facts={**held.found.facts, "features": "shared in memory"})
    labels, processor = task.labels(dataset), task.processor(checkpoint)
    prepared = task.prepare(dataset, processor, labels)
    model, backbone = frozen_backbone(task, checkpoint, labels)
    file = Path(cache_dir, key_of(task, model, backbone, processor, prepared)) if cache_dir else None
    known = read(file, prepared) if file else None
    if known is None:
        start = time.process_time()
        splits = {
            split: features_of(backbone, rows, task.collator(processor), task, desc=f"Frozen checkpoint: {split}")
            for split, rows in prepared.items()
            if split not in without
        }
        poolings = without_repeats(splits)
        facts = {"features": "computed", "backbone_cpu_seconds": round(time.process_time() - start, 3)}
        if without:
            return FrozenFeatures(prepared, labels, poolings, facts)
        if file:
            write(file, poolings, facts)
    else:
        poolings, facts = known
        facts["features"] = "read from cache_dir"
    found = FrozenFeatures(prepared, labels, poolings, facts)
    rows = {split: weakref.ref(of_split) for split, of_split in dataset.items()}
    _held[dataset["train"]] = _Held(task, checkpoint, rows, found)
    return found


def frozen_backbone(task: Task, checkpoint: str, labels: list[str]) -> tuple[PreTrainedModel, nn.Module]:
    """The checkpoint's model and what is below its head, on this process's device."""
    # What the checkpoint lacks is drawn alike by every process, or none would find what another kept.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = task.model(checkpoint, labels)
    return model, backbone_of(model).to(PartialState().device)


def backbone_of(model: PreTrainedModel) -> nn.Module:
    """What is below the head; of an encoder-decoder its encoder."""
    if model.config.is_encoder_decoder:
        return model.get_encoder()
    below = model.base_model
    return below if isinstance(below, PreTrainedModel) else TimmBackbone(below)


class TimmBackbone(nn.Module):
    """A timm model up to its last layer: what the wrapper in transformers calls the base model gives logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> BaseModelOutputWithPooling:
        hidden = self.model.forward_features(pixel_values)
        return BaseModelOutputWithPooling(hidden, self.model.forward_head(hidden, pre_logits=True))


def poolings_of(own: Tensor, outputs: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ways to read a row from a backbone's outputs, (batch, features) each; of states by token there is one.

    Args:
        own: what the task reads: (batch, features) or (batch, tokens, features).
    """
    found = {OWN: own}
    hidden = None if isinstance(outputs, Tensor) else outputs.last_hidden_state
    if own.ndim == 3 or not isinstance(hidden, Tensor):
        return found
    if hidden.ndim == 4:  # (batch, channels, height, width), of some models of timm with the channels last
        space = (2, 3) if hidden.shape[1] == own.shape[1] else (1, 2)
        found |= {"mean over space": hidden.mean(space), "maximum over space": hidden.amax(space)}
    elif "attention_mask" in batch:
        mask, rows = batch["attention_mask"], torch.arange(len(hidden), device=hidden.device)
        first = mask.argmax(1)
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(1)
        weight = mask.unsqueeze(-1)
        mean = (hidden * weight).sum(1) / weight.sum(1)
        found |= {MEAN: mean, "first token": hidden[rows, first], "last token": hidden[rows, last]}
    elif hidden.ndim == 3 and hidden.shape[1] > 1:
        found |= {"class token": hidden[:, 0], "mean of patches": hidden[:, 1:].mean(1)}
    return {name: value for name, value in found.items() if value.shape == own.shape}


@torch.no_grad()
def features_of(backbone: nn.Module, rows: Dataset, collator: Any, task: Task, *, desc: str) -> dict[str, Features]:
    """One pass of the frozen backbone over prepared rows, without dropout, in batches of like length: by pooling."""
    backbone.eval()
    device = next(backbone.parameters()).device
    order, source = list(range(len(rows))), rows_to_fetch(rows)
    if is_text(rows):
        order = np.argsort(text_lengths(rows), kind="stable").tolist()
    found: dict[str, dict[int, Tensor]] = {}
    targets: dict[int, Tensor] = {}
    by_token = False
    for start in track(range(0, len(order), BATCH), desc):
        chosen = order[start : start + BATCH]
        batch = {name: value.to(device) for name, value in collator(source.__getitems__(chosen)).items()}
        answers = batch.pop("labels").cpu()
        outputs = backbone(**batch)
        own = task.features(outputs, batch)
        by_token = own.ndim == 3
        # The batch's own labels, not those of the row: a tokenizer may pad on the left.
        here = [answers[i] != -100 if by_token else slice(i, i + 1) for i in range(len(chosen))]
        targets |= {row: (answers[i] if by_token else answers)[here[i]] for i, row in enumerate(chosen)}
        for name, values in poolings_of(own, outputs, batch).items():
            values = values.float().cpu()
            of_rows = {row: (values[i] if by_token else values)[here[i]] for i, row in enumerate(chosen)}
            found.setdefault(name, {}).update(of_rows)
    joined = torch.cat([targets[row] for row in range(len(rows))])
    places = labelled(rows["labels"]) if by_token else np.ones(len(rows), dtype=bool)
    return {
        name: Features(torch.cat([values[row] for row in range(len(rows))]), joined, places)
        for name, values in found.items()
    }


def without_repeats(splits: Mapping[str, Mapping[str, Features]]) -> dict[str, dict[str, Features]]:
    """Features by split and pooling as those by pooling and split, what the task reads first, under its plain name."""
    some = next(iter(splits.values()))
    same = [name for name in some if name != OWN and torch.allclose(some[name].inputs, some[OWN].inputs, atol=1e-6)]
    named = {(same or [OWN])[0]: OWN} | {name: name for name in some if name not in (OWN, *same)}
    return {shown: {split: found[name] for split, found in splits.items()} for shown, name in named.items()}


def labelled(labels: list[list[int]]) -> np.ndarray:
    """Where rows of label ids have one that counts, (rows, tokens)."""
    ids = [np.array(row) for row in labels]
    places = np.zeros((len(ids), max(map(len, ids))), dtype=bool)
    for row, of_row in enumerate(ids):
        places[row, : len(of_row)] = of_row != -100
    return places


def best_pooling(
    poolings: Mapping[str, dict[str, Features]], judged: Callable[[dict[str, Features]], tuple[float, Any]]
) -> tuple[str, float, Any]:
    """The pooling that scores highest on validation, its score and what came with it; the first of equals.

    Args:
        judged: features by split -> (score on validation, anything).
    """
    found = [(name, *judged(features)) for name, features in poolings.items()]
    return max(found, key=lambda one: one[1])
