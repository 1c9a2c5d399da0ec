"""A linear model on what the untouched checkpoint already knows: what fine-tuning has to add to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from accelerate import PartialState
from datasets import Dataset, DatasetDict
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from ..batches import fetched, is_text, text_lengths
from ..tasks.base import Task
from .base import Baseline
from .linear import Features, Search, best_predictions, standardised

BATCH = 64  # rows
OF_TOKENS = Search(penalties=(3e-2, 1e-2, 3e-3, 1e-3, 3e-4))
OF_ROWS = Search(penalties=(1.0, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3))  # rows are fewer than the tokens in them


@dataclass(frozen=True)
class LinearProbe(Baseline):
    """A linear model on features of the frozen checkpoint: of every labelled token, or of the whole row."""

    checkpoint: str

    name: ClassVar[str] = "linear probe"
    description: ClassVar[str] = "logistic regression on features of the frozen checkpoint"

    def predict(self, task: Task, dataset: DatasetDict) -> list:
        """Decoded predictions of every test row, with the penalty that did best on validation."""
        labels, processor = task.labels(dataset), task.processor(self.checkpoint)
        prepared = task.prepare(dataset, processor, labels)
        backbone = backbone_of(task.model(self.checkpoint, labels)).to(PartialState().device)
        features = standardised(
            {
                split: features_of(
                    backbone, rows, task.collator(processor), task.features, desc=f"{self.name}: {split}"
                )
                for split, rows in prepared.items()
            }
        )
        head = nn.Linear(features["train"].inputs.shape[1], len(labels))
        gold = task.references(dataset["validation"])
        search = OF_TOKENS if features["train"].places.ndim == 2 else OF_ROWS
        return best_predictions(task, head, features, prepared, gold, labels, search, name=self.name)


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


@torch.no_grad()
def features_of(
    backbone: nn.Module,
    rows: Dataset,
    collator: Any,
    read: Callable[[Any, dict[str, Tensor]], Tensor],
    *,
    desc: str,
) -> Features:
    """One pass of the frozen backbone over prepared rows, without dropout, in batches of like length.

    Args:
        read: outputs of the backbone and their batch -> (batch, features) or (batch, tokens, features).
    """
    backbone.eval()
    device = next(backbone.parameters()).device
    order, source = list(range(len(rows))), fetched(rows)
    if is_text(rows):
        order = np.argsort(text_lengths(rows), kind="stable").tolist()
    found: dict[int, tuple[Tensor, Tensor]] = {}
    by_token = False
    for start in tqdm(range(0, len(order), BATCH), desc=desc, disable=None):
        chosen = order[start : start + BATCH]
        batch = {name: value.to(device) for name, value in collator(source.__getitems__(chosen)).items()}
        targets = batch.pop("labels")
        inputs = read(backbone(**batch), batch).float()
        by_token = inputs.ndim == 3
        for i, row in enumerate(chosen):
            # The batch's own labels, not those of the row: a tokenizer may pad on the left.
            here = targets[i] != -100 if by_token else slice(i, i + 1)
            of_row = (inputs[i], targets[i]) if by_token else (inputs, targets)
            found[row] = tuple(values[here].cpu() for values in of_row)
    inputs, targets = (torch.cat(parts) for parts in zip(*(found[row] for row in range(len(rows))), strict=True))
    return Features(inputs, targets, labelled(rows["labels"]) if by_token else np.ones(len(rows), dtype=bool))


def labelled(labels: list[list[int]]) -> np.ndarray:
    """Where rows of label ids have one that counts, (rows, tokens)."""
    ids = [np.array(row) for row in labels]
    places = np.zeros((len(ids), max(map(len, ids))), dtype=bool)
    for row, of_row in enumerate(ids):
        places[row, : len(of_row)] = of_row != -100
    return places
