"""The layer that makes the logits, fitted to what the frozen layers give it: the computation behind `FitHead`."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather_object
from datasets import Dataset
from torch import Tensor, nn

from hfkit.baselines.frozen.features import BATCH, mark_labelled
from hfkit.baselines.frozen.linear import Features, fit_penalties, place_outputs, scale_of
from hfkit.baselines.frozen.linear_probe import ROW_SEARCH, TOKEN_SEARCH
from hfkit.baselines.logits import score_of
from hfkit.contract.task import Task
from hfkit.data.batches import is_text, text_lengths
from hfkit.errors import UserError
from hfkit.prefix.callback import Caching
from hfkit.progress import track

MOST = 2**28  # numbers that are fitted: the inputs of the layer at all positions, 1 GiB
# Of L-BFGS for one penalty on tokens, of which there are many: F1 on WNUT-17 is that of 60, at less than half the cost.
TOKEN_STEPS = 20
WORSE = 2  # penalties in a row that are worse than the best end the search: weaker ones fit the noise


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    task: Task
    codec: Any
    model: nn.Module
    train_dataset: Dataset
    eval_dataset: Dataset
    judged: Dataset
    caching: Caching

    def references(self, split: str) -> list: ...


def fit_head(trainer: Run, linear: nn.Linear) -> dict[str, float]:
    """Fit the layer that makes the logits to what the frozen layers give it, with the best penalty on validation.

    All processes end with the same weights.

    Returns:
        The `penalty`, the headline on `validation`, and how many `positions` were fitted: rows, or tokens of them.

    Raises:
        UserError: `linear` does not make the logits of some row.
    """
    features = {
        "train": head_inputs(trainer, linear, trainer.train_dataset, "train", most=MOST // linear.in_features),
        "eval": head_inputs(trainer, linear, trainer.eval_dataset, "eval"),
    }
    codec, judge, train = trainer.codec, trainer.task.judge, features["train"]
    references = trainer.references("validation")
    centre = torch.zeros(train.inputs.shape[1])
    spread, mean = torch.std_mean(train.inputs, dim=0, correction=0)
    spread[spread < 1e-6] = 1.0  # a constant feature
    if linear.bias is not None:
        centre = mean
    features = {split: f._replace(inputs=(f.inputs - centre) / spread) for split, f in features.items()}
    train, offset, unit = features["train"], 0.0, 1.0
    if train.targets.ndim == 1 and train.targets.is_floating_point():
        offset, unit = scale_of(train.targets) if linear.bias is not None else (0.0, 1.0)
        train = train._replace(targets=(train.targets - offset) / unit)
    head = nn.Linear(train.inputs.shape[1], linear.out_features, bias=linear.bias is not None)
    gold = features["eval"]
    search = replace(TOKEN_SEARCH, steps=TOKEN_STEPS) if train.places.ndim == 2 else ROW_SEARCH
    best_score, best_penalty, best, worse = -np.inf, np.nan, [], 0
    plain = copy.copy(codec)  # labels are not smoothed here, whatever training does
    plain.fit_loss(trainer.train_dataset)
    for penalty in fit_penalties(head, train, plain.loss_of_logits, search, desc="Head: fitting"):
        with torch.no_grad():
            outputs = place_outputs(offset + unit * head(gold.inputs), gold, codec)
        predictions = codec.decode_reduced(outputs, trainer.eval_dataset)
        score = judge.headline.sign * score_of(trainer.task, predictions, references)
        worse = worse + 1 if score < best_score else 0
        if not best or score > best_score:
            best_score, best_penalty, best = score, penalty, [p.detach().clone() for p in head.parameters()]
        if worse >= WORSE:
            break
    weight = unit * best[0] / spread
    with torch.no_grad():
        linear.weight.copy_(weight)
        if linear.bias is not None:
            linear.bias.copy_(offset + unit * best[1] - weight @ centre)
        for parameter in linear.parameters():
            parameter.copy_(broadcast(parameter.detach().clone()))
    return {
        "penalty": best_penalty,
        "validation": float(judge.headline.sign * best_score),
        "positions": len(train.targets),
    }


def makes_logits(trainer: Run, linear: nn.Linear) -> bool:
    """Whether the outputs of `linear` are the logits of the model, asked of two rows."""
    numbers = list(range(min(2, len(trainer.eval_dataset))))
    with watch(linear) as seen:
        logits, _ = trainer.caching.logits(trainer.model, trainer.eval_dataset, numbers, "eval")
    return bool(seen) and positions_of(logits, *seen[-1]) is not None


def head_inputs(trainer: Run, linear: nn.Linear, rows: Dataset, split: str, most: int | None = None) -> Features:
    """The inputs of `linear` at the labelled positions of `rows`.

    One forward pass without dropout in batches of like length, above the frozen layers where these are stored, by all
    processes together.

    Args:
        most: positions that are wanted; where there are more, rows are taken at equal distances.

    Raises:
        UserError: its outputs are not the logits of some row.
    """
    state, trainer.judged = PartialState(), trainer.eval_dataset
    chosen = np.arange(len(rows))
    if most is not None and (count := count_positions(rows["labels"][:])) > most:
        chosen = np.linspace(0, len(rows) - 1, max(1, len(rows) * most // count)).astype(int)
    lengths = text_lengths(rows)[chosen] if is_text(rows) else np.zeros(len(chosen))
    order = chosen[np.argsort(lengths, kind="stable")]
    batches = [order[start : start + BATCH].tolist() for start in range(0, len(order), BATCH)]
    found: list[tuple[int, Tensor, Tensor]] = []
    fits, by_token = True, False
    # A process without a batch would not take part in what all of them decide.
    mine = batches[state.process_index :: state.num_processes] or batches[:1]
    for numbers in track(mine, f"Head: {split}"):
        with watch(linear) as seen:
            logits, targets = trainer.caching.logits(trainer.model, rows, numbers, split)
        inputs = positions_of(logits, *seen[-1]) if seen else None
        fits = inputs is not None
        if not fits:
            break
        by_token = inputs.ndim == 3
        inputs, targets = inputs.float().cpu(), targets.cpu()
        for i, row in enumerate(numbers):
            here = targets[i] != -100 if by_token else slice(i, i + 1)
            found.append((row, inputs[i][here], targets[i][here]) if by_token else (row, inputs[here], targets[here]))
    if not all(gather_object([fits])):
        rule = f"the outputs of its last layer are not the logits of every row of {split}"
        raise UserError("fit_head", rule, "Add --fit_head no")
    by_row = {row: parts for row, *parts in gather_object(found)}
    inputs, targets = (torch.cat(parts) for parts in zip(*(by_row[row] for row in chosen.tolist()), strict=True))
    places = mark_labelled(rows.select(chosen)["labels"][:]) if by_token else np.ones(len(chosen), dtype=bool)
    return Features(inputs, targets, places)


def count_positions(labels: Sequence) -> int:
    """Rows, or where every token has a label of its own, the tokens that have one."""
    first = labels[0]
    return int(mark_labelled(labels).sum()) if isinstance(first, list) and isinstance(first[0], int) else len(labels)


@contextmanager
def watch(module: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Within it every call of `module` leaves its input and output in the list."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    try:
        yield seen
    finally:
        handle.remove()


def positions_of(logits: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor | None:
    """The `inputs` that `logits` were made of, (..., features); None where no position of `outputs` is the logits.

    A decoder gives every token logits, and keeps those of one.
    """
    outputs = outputs.to(logits.dtype)  # in half precision accelerate widens the logits that the model returns
    if outputs.shape == logits.shape:
        return inputs if torch.equal(outputs, logits) else None
    if outputs.ndim != logits.ndim + 1 or outputs.shape[0] != logits.shape[0] or outputs.shape[2:] != logits.shape[1:]:
        return None
    same = (outputs == logits[:, None]).all(-1)  # (batch, tokens)
    return inputs[torch.arange(len(inputs)), same.float().argmax(1)] if same.any(1).all() else None
