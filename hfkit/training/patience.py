"""Callbacks that keep a state, early stopping above all, go on in a resumed run where the checkpoint has them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from accelerate import PartialState
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ExportableState, TrainerState


def restore_states(callbacks: Iterable[TrainerCallback], state: TrainerState, *, restored: bool = False) -> None:
    """Give callbacks that keep a state (`ExportableState`) the one that a checkpoint has of them.

    It is what they have counted that comes back. Their settings are those of now: a patience that was raised is the
    one that counts. Callbacks of one class are told apart by their order.

    Args:
        state: of the trainer, as loaded from the checkpoint; a callback that is new gets its place in it, without which
            the stock trainer cannot save the next checkpoint.
        restored: the stock trainer has done so, settings included (--restore_callback_states_from_checkpoint).
    """
    for name, group in group_by_class(callbacks):
        kept = state.stateful_callbacks.get(name, [])
        # Of several the stock trainer adds their states at every save to those before: the last ones are of now.
        kept = kept[-len(group) :] if isinstance(kept, list) else [kept]
        for callback, values in zip(() if restored else group, kept, strict=False):
            for attribute, value in values["attributes"].items():
                if attribute not in values["args"]:
                    setattr(callback, attribute, value)
        states = [callback.state() for callback in group]
        state.stateful_callbacks[name] = states if len(states) > 1 else states[0]


def settings_of(callbacks: Iterable[TrainerCallback]) -> dict[str, list[dict[str, Any]]]:
    """The settings of callbacks that keep a state, such as their patience, by class and as JSON values."""
    found = {name: [callback.state()["args"] for callback in group] for name, group in group_by_class(callbacks)}
    return json.loads(json.dumps(found, default=str))


def group_by_class(callbacks: Iterable[TrainerCallback]) -> Iterator[tuple[str, list[Any]]]:
    """The callbacks that keep a state, by the name of their class, under which the stock trainer saves it."""
    groups: dict[str, list] = {}
    for callback in callbacks:
        if isinstance(callback, ExportableState):
            groups.setdefault(type(callback).__name__, []).append(callback)
    yield from groups.items()


class Patience(TrainerCallback):
    """Ends a resumed run at once if early stopping had ended it: another epoch would be one too many."""

    def __init__(self) -> None:
        self.watched: list[EarlyStoppingCallback] = []  # those of a resumed run

    def watch(self, callbacks: Iterable[TrainerCallback], *, anew: bool) -> None:
        """Note the early stopping of the resumed run that begins; with `anew` it is given new patience."""
        self.watched = [one for one in callbacks if isinstance(one, EarlyStoppingCallback)]
        for one in self.watched if anew else ():
            one.early_stopping_patience_counter = 0

    def on_train_begin(self, args, state, control, **kwargs):
        for one in self.watched:
            without, most = one.early_stopping_patience_counter, one.early_stopping_patience
            ended = without >= most
            if ended:
                control.should_training_stop = True
            if PartialState().is_main_process:
                print(
                    f"Early stopping {'had ended this run' if ended else 'goes on'}: {without} of {most} evaluations"
                    f" without a gain at step {state.global_step}."
                )
