"""How long a run trains where nobody says: enough steps for few rows, and not too many passes over many."""

import math

from transformers import EarlyStoppingCallback, IntervalStrategy

from hfkit.arguments.training import TransferArguments

STEPS = 1000  # optimizer steps that a run aims at, in whole passes over its training rows
FEWEST_PASSES, MOST_PASSES = 3, 20
FEWEST_STEPS = 60  # in which the rates can rise and fall, however few rows there are
EVALUATIONS = 10  # of such a run, at equal distances


def count_passes(epoch_steps: int) -> int:
    """Passes over the training rows that a run takes by default.

    As many as make 1,000 steps, but from 3 to 20 (of few rows, fine-tuning is unstable because it is short: Mosbach et
    al. 2021, Zhang et al. 2021), and on a handful of rows as many as make 60 steps.

    Args:
        epoch_steps: optimizer steps of one pass.
    """
    wanted = min(MOST_PASSES, max(FEWEST_PASSES, round(STEPS / epoch_steps)))
    return max(wanted, math.ceil(FEWEST_STEPS / epoch_steps))


def count_epoch_steps(args: TransferArguments, rows: int) -> int:
    """Optimizer steps of one pass over so many training rows, as the stock trainer counts them."""
    return max(1, math.ceil(rows / (args.train_batch_size * args.gradient_accumulation_steps * args.world_size)))


def settle_length(args: TransferArguments, rows: int) -> None:
    """Give a run whose length was left open its epochs, and regular evaluations in place of one per epoch.

    Args:
        rows: of training, encoded.
    """
    if args.num_train_epochs is not None or args.max_steps > 0:
        return
    epoch_steps = count_epoch_steps(args, rows)
    args.num_train_epochs = float(count_passes(epoch_steps))
    if args.eval_strategy == IntervalStrategy.EPOCH:
        every = math.ceil(args.num_train_epochs * epoch_steps / EVALUATIONS)  # the last one is of the last step
        args.eval_strategy, args.eval_steps = IntervalStrategy.STEPS, every
        if args.save_strategy == IntervalStrategy.EPOCH:
            args.save_strategy, args.save_steps = IntervalStrategy.STEPS, every


class Waiting(EarlyStoppingCallback):
    """Early stopping that counts what training gains, not by how much it is behind a head that was fitted before it."""

    def __init__(self, patience: int) -> None:
        super().__init__(patience)
        self.best: float | None = None  # of the evaluations since the first step

    def check_metric_value(self, args, state, control, metric_value):
        sign = 1 if args.greater_is_better else -1
        if self.best is None or sign * metric_value > sign * self.best:
            self.best, self.early_stopping_patience_counter = float(metric_value), 0
        else:
            self.early_stopping_patience_counter += 1

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        if state.global_step:
            super().on_evaluate(args, state, control, metrics, **kwargs)

    def state(self) -> dict:
        kept = super().state()
        return {
            "args": {"patience": self.early_stopping_patience},
            "attributes": {**kept["attributes"], "best": self.best},
        }


def early_stopping(args: TransferArguments) -> list[EarlyStoppingCallback]:
    """The callback that ends a run whose validation no longer gains, if that is asked for and best weights are kept."""
    chosen = args.load_best_model_at_end and not args.decided  # `auto` has a patience of its own
    return [Waiting(args.patience)] if args.patience and chosen else []
