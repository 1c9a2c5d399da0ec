"""The strategy that picks itself: a linear probe first, then stage by stage for as long as validation gains by it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather_object
from datasets import Dataset
from torch import Tensor, nn
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from hfkit.baselines.frozen.features import BATCH, labelled
from hfkit.baselines.frozen.linear import Features, fits, placed, scale_of
from hfkit.baselines.frozen.linear_probe import OF_ROWS, OF_TOKENS
from hfkit.contract.task import Task
from hfkit.data.batches import is_text, text_lengths
from hfkit.errors import UserError
from hfkit.model.unfreezing import FreezePlan
from hfkit.progress import track
from hfkit.scores.statistics import paired_difference
from hfkit.training.plan import closing_layer

ENTRY = "auto"  # a decision in the log
LEVEL = 0.05  # a gain is one where chance alone would make as much less often than this
STRIKES = 2  # stages in a row that were worse than the best before them end training
STOP, ON = "stop", "go on"
ENOUGH = "even answers without a fault would not be better beyond noise"


def refuse_blind(args: Any, task: Task, rows: Any) -> None:
    """Refuse flags under which no stage could be judged, or the best one not be restored.

    Raises:
        UserError: naming the flag.
    """
    needed = {
        "load_best_model_at_end": True,
        "metric_for_best_model": task.headline,
        "lora_rank": 0,
        "restore_callback_states_from_checkpoint": False,
    }
    wrong = [f"{name}={getattr(args, name)}" for name, value in needed.items() if getattr(args, name) != value]
    if not wrong and isinstance(rows, Dataset) and len(rows) > 1:
        return
    raise UserError(
        f"strategy='auto', {', '.join(wrong) or f'validation rows: {rows}'}",
        "every stage is judged by the headline on validation rows, and the best one is restored",
        "Give validation rows and --eval_strategy epoch --save_strategy epoch --load_best_model_at_end true"
        " --metric_for_best_model headline (KEEP_BEST in a recipe), or choose another --strategy",
    )


def chance_of(tallies: np.ndarray, before: np.ndarray, task: Task) -> dict[str, float]:
    """By how much `tallies` scores above `before` on the same rows, its interval, and the one-sided p of a gain."""
    pair = paired_difference(tallies, before, task.headline_of)
    found = {name: float(pair[name]) for name in ("difference", "low", "high")}
    return found | {"p": pair["p"] / 2 if pair["difference"] > 0 else 1 - pair["p"] / 2}


def verdict(gain: dict[str, float] | None, left: float, strikes: int, *, last: bool) -> tuple[str, str]:
    """`stop` or `go on`, and why, in words.

    Args:
        gain: of the stage over the best before it, as `chance_of` has it; None of the first.
        left: the one-sided p of answers without a fault against the best so far.
        strikes: stages in a row that were worse, this one included.
        last: no stage is left.
    """
    if gain is None:
        found = "the first to be judged"
    elif gain["difference"] == 0:
        found = "no better"
    else:
        noise = "beyond" if min(gain["p"], 1 - gain["p"]) < LEVEL else "within"
        found = f"{'better' if gain['difference'] > 0 else 'worse'}, {noise} noise"
    if last:
        return STOP, f"{found}; nothing is left to thaw"
    if left >= LEVEL:
        return STOP, f"{found}; {ENOUGH}"
    if strikes >= STRIKES:
        return STOP, f"{found}, {strikes} stages in a row"
    return ON, found


class Auto(TrainerCallback, ExportableState):
    """Fits the head before the first step, judges every stage at its end, and stops where thawing no longer pays.

    What may come is the plan, a pure function of the step; a decision only ends it. Decisions lie in the log, so that a
    resumed run knows them. The best evaluation of the run is restored by the stock trainer: the fitted head is saved as
    checkpoint-0, and what came later counts where its headline is higher.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.before: list | None = None  # tallies of the best evaluation before this stage, (rows, counts)
        self.within: list | None = None  # and of the best one in it

    def state(self) -> dict[str, Any]:
        """Kept in a checkpoint: a resumed run compares with the same answers."""
        return {"args": {}, "attributes": {"before": self.before, "within": self.within}}

    # What the loop tells

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        decided = decisions(state.log_history)
        if state.global_step or decided:
            kept = state.stateful_callbacks[type(self).__name__]["attributes"]
            self.before, self.within = kept["before"], kept["within"]
            if decided and decided[-1]["decision"] == STOP:
                self._end(state, control)
            return
        self.before = self.within = None
        linear = closing_layer(model, self.trainer.unfreezing)
        if linear is None or not fit_head(self.trainer, linear):
            return
        trainer = self.trainer
        metrics = trainer.evaluate()  # on_evaluate decides
        trainer._determine_best_metric(metrics, trial=None)
        state.best_model_checkpoint = str(Path(args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-0"))
        trainer._save_checkpoint(model, trial=None)

    def on_evaluate(self, args, state, control, **kwargs):
        trainer, plan = self.trainer, self.trainer.unfreezing.plan
        if not trainer.is_in_train or trainer.judged is not trainer.eval_dataset:
            return
        tallies = trainer.task.tallies(*trainer._decoded)
        if self.within is None or self._score(tallies) > self._score(self.within):
            self.within = tallies.tolist()
        ends = [*plan.starts[1:], trainer.total_steps]
        if state.global_step == 0:
            self._decide(state, control, 0, trainer.unfreezing.depths.head)
        elif state.global_step in ends:
            stage = ends.index(state.global_step)
            self._decide(state, control, stage + 1, plan.lowest[stage])

    def _score(self, tallies: Any) -> float:
        return float(self.trainer.task.headline_of(np.asarray(tallies).sum(0)))

    def _decide(self, state: Any, control: Any, stage: int, lowest: int) -> None:
        trainer, task = self.trainer, self.trainer.task
        gold = trainer._decoded[1]
        within = np.asarray(self.within)
        entry: dict[str, Any] = {"stage": stage, "lowest_depth": lowest, "validation": self._score(within)}
        gain, strikes = None, 0
        if self.before is None:
            self.before = self.within
        else:
            before = np.asarray(self.before)
            gain = chance_of(within, before, task)
            entry |= {"best_before": self._score(before), **gain}
            earlier = decisions(state.log_history)
            strikes = earlier[-1]["worse_in_a_row"] + 1 if gain["difference"] < 0 else 0
            if gain["difference"] > 0:
                self.before = self.within
        left = chance_of(task.tallies(task.faultless(gold), gold), np.asarray(self.before), task)["p"]
        decision, why = verdict(gain, left, strikes, last=state.global_step >= trainer.total_steps)
        entry |= {"worse_in_a_row": strikes, "decision": decision, "why": why}
        state.log_history.append({"step": state.global_step, ENTRY: entry})
        self.within = None
        if PartialState().is_main_process:
            print(told(entry, task.headline))
        if decision == STOP:
            self._end(state, control)

    def _end(self, state: Any, control: Any) -> None:
        """Stop here, and let the plan say what was trained."""
        trainer, step = self.trainer, state.global_step
        plan = trainer.unfreezing.plan
        control.should_training_stop = True
        begun = sum(start < step for start in plan.starts)
        if begun:
            trainer.unfreezing.plan = FreezePlan(plan.starts[:begun], plan.lowest[:begun])
        else:
            trainer.unfreezing.plan = FreezePlan((0,), (trainer.unfreezing.depths.head,))
        trainer.total_steps = max(1, step)


def decisions(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The decisions in a log, in order."""
    return [entry[ENTRY] for entry in log if ENTRY in entry]


def told(entry: dict[str, Any], headline: str) -> str:
    """A decision as one line."""
    gain = ""
    if "difference" in entry:
        low, high = entry["low"], entry["high"]
        gain = f" ({entry['difference']:+.3f} [{low:+.3f}, {high:+.3f}], p = {entry['p']:.2f})"
    return (
        f"Stage {entry['stage']}, depths from {entry['lowest_depth']}: validation {headline} {entry['validation']:.3f}"
        f"{gain}: {entry['decision']}, {entry['why']}."
    )


# The probe


def fit_head(trainer: Any, linear: nn.Linear) -> bool:
    """Fit the layer that makes the logits to what the frozen layers give it, with the best penalty on validation.

    Returns:
        Whether it was: not where `linear` does not make the logits. All processes end with the same weights.
    """
    features = {}
    for split, rows in (("train", trainer.train_dataset), ("eval", trainer.eval_dataset)):
        found = head_inputs(trainer, linear, rows, split)
        if found is None:
            return False
        features[split] = found
    task, labels, train = trainer.task, trainer.labels, features["train"]
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
    weights, gold = task.weights(trainer.train_dataset), features["eval"]
    search = OF_TOKENS if train.places.ndim == 2 else OF_ROWS
    best_score, best = -np.inf, None
    for _ in fits(head, train, task, weights, search, desc="Head: fitting"):
        with torch.no_grad():
            outputs = placed(offset + unit * head(gold.inputs), gold, task)
        score = task.score(*task.decode(outputs, trainer.eval_dataset, labels))[task.headline]
        if score > best_score:
            best_score, best = score, [p.detach().clone() for p in head.parameters()]
    weight = unit * best[0] / spread
    with torch.no_grad():
        linear.weight.copy_(weight)
        if linear.bias is not None:
            linear.bias.copy_(offset + unit * best[1] - weight @ centre)
        for parameter in linear.parameters():
            parameter.copy_(broadcast(parameter.detach().clone()))
    return True


def head_inputs(trainer: Any, linear: nn.Linear, rows: Dataset, split: str) -> Features | None:
    """What `linear` is given at every labelled position of `rows`; None where its outputs are not the logits.

    One forward pass without dropout in batches of like length, above the frozen layers where these are stored, by all
    processes together.
    """
    state, trainer.judged = PartialState(), trainer.eval_dataset
    order = np.argsort(text_lengths(rows), kind="stable") if is_text(rows) else np.arange(len(rows))
    batches = [order[start : start + BATCH].tolist() for start in range(0, len(order), BATCH)]
    found: list[tuple[int, Tensor, Tensor]] = []
    fits, by_token = True, False
    # A process without a batch would not take part in what all of them decide.
    mine = batches[state.process_index :: state.num_processes] or batches[:1]
    for numbers in track(mine, f"Head: {split}"):
        with watched(linear) as seen:
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
        return None
    by_row = {row: parts for row, *parts in gather_object(found)}
    inputs, targets = (torch.cat(parts) for parts in zip(*(by_row[row] for row in range(len(rows))), strict=True))
    return Features(inputs, targets, labelled(rows["labels"]) if by_token else np.ones(len(rows), dtype=bool))


@contextmanager
def watched(module: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
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
    if outputs.shape == logits.shape:
        return inputs if torch.equal(outputs, logits) else None
    if outputs.ndim != logits.ndim + 1 or outputs.shape[0] != logits.shape[0] or outputs.shape[2:] != logits.shape[1:]:
        return None
    same = (outputs == logits[:, None]).all(-1)  # (batch, tokens)
    return inputs[torch.arange(len(inputs)), same.float().argmax(1)] if same.any(1).all() else None
