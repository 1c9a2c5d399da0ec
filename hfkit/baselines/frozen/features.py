"""One pass of the frozen checkpoint over all rows, pooled in every way that suits it and shared by all contenders."""

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
from hfkit.baselines.logits import encode_splits, probed_codec
from hfkit.contract.codec import Codec
from hfkit.contract.target import Target
from hfkit.contract.task import Loaded, Task
from hfkit.data.batches import is_text, rows_to_fetch, text_lengths
from hfkit.progress import track
from hfkit.scores.score import Score

BATCH = 64  # rows
OWN = "as the task reads it"
MEAN = "mean"  # over the tokens of a text that are not padding


class FrozenFeatures(NamedTuple):
    """Features of every row from a frozen checkpoint, by pooling."""

    codec: Any  # a Codec that is Probed as well
    encoded: DatasetDict
    poolings: dict[str, dict[str, Features]]  # by pooling and split; the first is what the task reads
    facts: dict[str, Any]  # where they came from, and what the pass cost


@dataclass(frozen=True)
class OnFrozenFeatures(Baseline):
    """A contender on features of the frozen checkpoint.

    All such contenders share one pass of the backbone: while the same rows are in memory, and through `cache_dir`
    beyond that.
    """

    checkpoint: str
    cache_dir: str | None = None  # folder of features for later runs, and for others at the same time

    def features(self, task: Task, rows: Loaded, skipped: tuple[str, ...] = ()) -> FrozenFeatures:
        """The features of all rows, computed unless they are known already; the splits `skipped` may be missing.

        Raises:
            UserError: the task's codec reads no logit per label, or the checkpoint has no processor that fits.
        """
        return frozen_features(task, rows, self.checkpoint, self.cache_dir, skipped, name=self.name)


class _Held(NamedTuple):
    """The features that were used last, of rows that are still in use."""

    task: Task
    checkpoint: str
    target: Target
    splits: dict[str, weakref.ref]
    features: FrozenFeatures

    def fits(self, task: Task, checkpoint: str, rows: Loaded) -> bool:
        splits = rows.splits
        same = self.splits.keys() == splits.keys() and all(ref() is splits[split] for split, ref in self.splits.items())
        return same and (self.task, self.checkpoint, self.target) == (task, checkpoint, rows.target)


# They go when the training rows go.
_held: weakref.WeakKeyDictionary[Dataset, _Held] = weakref.WeakKeyDictionary()


def frozen_features(
    task: Task,
    rows: Loaded,
    checkpoint: str,
    cache_dir: str | None = None,
    skipped: tuple[str, ...] = (),
    *,
    name: str = "frozen features",
) -> FrozenFeatures:
    """Features of every row from the frozen `checkpoint`: from memory, from `cache_dir`, or by one pass.

    Args:
        skipped: splits that need no pass; features that lack a split are not kept for others.
        name: the baseline that asks, for messages.
    """
    held = _held.get(rows["train"])
    if held is not None and held.fits(task, checkpoint, rows):
        return held.features._replace(facts={**held.features.facts, "features": "shared in memory"})
    codec = probed_codec(task, checkpoint, rows, name)
    encoded = encode_splits(codec, rows)
    model, backbone = frozen_backbone(codec)
    file = Path(cache_dir, key_of(codec, model, backbone, encoded)) if cache_dir else None
    known = read(file, encoded) if file else None
    if known is None:
        start = time.process_time()
        by_split = {
            split: compute_features(backbone, of_split, codec, desc=f"Frozen checkpoint: {split}")
            for split, of_split in encoded.items()
            if split not in skipped
        }
        poolings = drop_repeats(by_split)
        facts = {"features": "computed", "backbone_cpu_seconds": round(time.process_time() - start, 3)}
        if skipped:
            return FrozenFeatures(codec, encoded, poolings, facts)
        if file:
            write(file, poolings, facts)
    else:
        poolings, facts = known
        facts["features"] = "read from cache_dir"
    features = FrozenFeatures(codec, encoded, poolings, facts)
    splits = {split: weakref.ref(of_split) for split, of_split in rows.splits.items()}
    _held[rows["train"]] = _Held(task, checkpoint, rows.target, splits, features)
    return features


def frozen_backbone(codec: Codec) -> tuple[PreTrainedModel, nn.Module]:
    """The checkpoint's model and the part of it below the head, on this process's device."""
    # Every process draws what the checkpoint lacks alike. Otherwise none would find what another kept.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = codec.model()
    return model, backbone_of(model).to(PartialState().device)


def backbone_of(model: PreTrainedModel) -> nn.Module:
    """The part below the head; of an encoder-decoder its encoder."""
    if model.config.is_encoder_decoder:
        return model.get_encoder()
    below = model.base_model
    return below if isinstance(below, PreTrainedModel) else TimmBackbone(below)


class TimmBackbone(nn.Module):
    """A timm model up to its last layer: its wrapper in transformers has a base model that gives logits already."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> BaseModelOutputWithPooling:
        hidden = self.model.forward_features(pixel_values)
        return BaseModelOutputWithPooling(hidden, self.model.forward_head(hidden, pre_logits=True))


def pool(own: Tensor, outputs: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The ways to read a row from a backbone's outputs, (batch, features) each; states by token have one only.

    Args:
        own: what the task reads: (batch, features) or (batch, tokens, features).
    """
    poolings = {OWN: own}
    hidden = None if isinstance(outputs, Tensor) else outputs.last_hidden_state
    if own.ndim == 3 or not isinstance(hidden, Tensor):
        return poolings
    if hidden.ndim == 4:  # (batch, channels, height, width); some models of timm have the channels last
        space = (2, 3) if hidden.shape[1] == own.shape[1] else (1, 2)
        poolings |= {"mean over space": hidden.mean(space), "maximum over space": hidden.amax(space)}
    elif "attention_mask" in batch:
        mask, rows = batch["attention_mask"], torch.arange(len(hidden), device=hidden.device)
        first = mask.argmax(1)
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(1)
        weight = mask.unsqueeze(-1)
        mean = (hidden * weight).sum(1) / weight.sum(1)
        poolings |= {MEAN: mean, "first token": hidden[rows, first], "last token": hidden[rows, last]}
    elif hidden.ndim == 3 and hidden.shape[1] > 1:
        poolings |= {"class token": hidden[:, 0], "mean of patches": hidden[:, 1:].mean(1)}
    return {name: value for name, value in poolings.items() if value.shape == own.shape}


@torch.no_grad()
def compute_features(backbone: nn.Module, encoded: Dataset, codec: Any, *, desc: str) -> dict[str, Features]:
    """One pass of the frozen backbone over encoded rows, without dropout, in batches of like length: by pooling.

    Args:
        codec: a Codec that is Probed as well.
    """
    backbone.eval()
    device = next(backbone.parameters()).device
    order, source = list(range(len(encoded))), rows_to_fetch(encoded)
    if is_text(encoded):
        order = np.argsort(text_lengths(encoded), kind="stable").tolist()
    inputs: dict[str, dict[int, Tensor]] = {}
    targets: dict[int, Tensor] = {}
    by_token = False
    for start in track(range(0, len(order), BATCH), desc):
        numbers = order[start : start + BATCH]
        batch = {name: value.to(device) for name, value in codec.collate(source.__getitems__(numbers)).items()}
        labels = batch.get("labels", torch.zeros(len(numbers))).cpu()  # zeros where rows have no answers
        batch = codec.inputs(batch)
        outputs = backbone(**batch)
        own = codec.features(outputs, batch)
        by_token = own.ndim == 3
        # The labels of the batch, not those of the row: a tokenizer may pad on the left.
        here = [labels[i] != -100 if by_token else slice(i, i + 1) for i in range(len(numbers))]
        targets |= {row: (labels[i] if by_token else labels)[here[i]] for i, row in enumerate(numbers)}
        for name, values in pool(own, outputs, batch).items():
            values = values.float().cpu()
            of_rows = {row: (values[i] if by_token else values)[here[i]] for i, row in enumerate(numbers)}
            inputs.setdefault(name, {}).update(of_rows)
    joined = torch.cat([targets[row] for row in range(len(encoded))])
    places = mark_labelled(encoded["labels"]) if by_token else np.ones(len(encoded), dtype=bool)
    return {
        name: Features(torch.cat([values[row] for row in range(len(encoded))]), joined, places)
        for name, values in inputs.items()
    }


def drop_repeats(by_split: Mapping[str, Mapping[str, Features]]) -> dict[str, dict[str, Features]]:
    """Features by split and pooling, turned into those by pooling and split.

    What the task reads comes first; where it equals another pooling, it goes by that plain name.
    """
    some = next(iter(by_split.values()))
    same = [name for name in some if name != OWN and torch.allclose(some[name].inputs, some[OWN].inputs, atol=1e-6)]
    named = {(same or [OWN])[0]: OWN} | {name: name for name in some if name not in (OWN, *same)}
    return {plain: {split: found[name] for split, found in by_split.items()} for plain, name in named.items()}


def mark_labelled(labels: list[list[int]]) -> np.ndarray:
    """True where rows of label ids have one that counts, (rows, tokens)."""
    ids = [np.array(row) for row in labels]
    places = np.zeros((len(ids), max(map(len, ids))), dtype=bool)
    for row, of_row in enumerate(ids):
        places[row, : len(of_row)] = of_row != -100
    return places


def best_pooling(
    poolings: Mapping[str, dict[str, Features]],
    try_pooling: Callable[[dict[str, Features]], tuple[float, Any]],
    headline: Score,
) -> tuple[str, float, Any]:
    """The pooling that scores best on validation, its score and what came with it; the first of equals.

    Args:
        try_pooling: features by split -> (score on validation, anything).
    """
    tries = [(name, *try_pooling(features)) for name, features in poolings.items()]
    return headline.best(tries, lambda one: one[1])
