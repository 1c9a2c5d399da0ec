"""Ends a trial that falls behind earlier ones: there is nothing to learn from its last epochs."""

from transformers import TrainerCallback

from hfkit.ledger.cells import Pruner


class Pruning(TrainerCallback):
    """Reports each evaluation of a training, and ends it if the judge says so.

    Args:
        falls_behind: of the number of an evaluation (from 1) and its score, higher is better.
        key: of the score among the metrics.
        sign: 1, or -1 if a lower score is better.
    """

    def __init__(self, falls_behind: Pruner, key: str, sign: int) -> None:
        self.falls_behind, self.key, self.sign = falls_behind, key, sign
        self.evaluations = 0
        self.ended_at: int | None = None  # the evaluation after which training was ended

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if self.key not in metrics or self.ended_at is not None:
            return
        self.evaluations += 1
        if self.falls_behind(self.evaluations, self.sign * metrics[self.key]):
            # The last evaluation ends it anyway, and then it has ended as any other.
            if state.global_step < state.max_steps:
                control.should_training_stop, self.ended_at = True, self.evaluations
