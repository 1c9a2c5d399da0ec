"""Runs the cells of a comparison: trains or fits a contender, and lets it answer the test rows."""

import time
import traceback
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict
from transformers import set_seed

from hfkit.arguments.training import TransferArguments
from hfkit.contract.abilities import Likely
from hfkit.contract.codec import Codec
from hfkit.contract.view import to_text
from hfkit.errors import UserError, one_line
from hfkit.ledger.bench import Bench
from hfkit.ledger.cells import Cell, Result
from hfkit.ledger.pruning import Pruning
from hfkit.report.schema import to_finite, to_plain
from hfkit.runtime.durable import describe_room, is_no_room
from hfkit.runtime.energy import measure_energy
from hfkit.runtime.machine import measure
from hfkit.training.memory import parameters_of, refuse_too_large
from hfkit.training.trainer import TransferTrainer

Arrays = dict[str, np.ndarray]


class Runner:
    """Runs cells, all on the same rows; a split is encoded once for all of them."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def run(self, cell: Cell, scratch: Path) -> tuple[Result, Arrays]:
        """Train or fit, and answer the test rows.

        It does not raise: a cell that cannot be run is `skipped`, and one that broke has `failed`.

        Args:
            scratch: folder for files that are not kept.
        """
        try:
            run = self._run_baseline if cell.contender.kind == "baseline" else self._run_strategy
            facts, arrays = run(cell, scratch)
            return Result(**{"status": "ok", **to_finite(to_plain(facts))}), arrays
        except UserError as error:
            return Result("skipped", str(error)), {}
        except Exception as error:  # whatever it is, the other cells go on
            if is_no_room(error, scratch):
                return Result("failed", f"no room was left on the disk ({describe_room(scratch)})", machine=True), {}
            traceback.print_exc()
            reason = f"{type(error).__name__}: {one_line(error)[:300]}"
            return Result("failed", reason, machine=is_fault_of_machine(error)), {}

    def _run_strategy(self, cell: Cell, scratch: Path) -> tuple[dict[str, Any], Arrays]:
        bench, task = self.bench, self.bench.task
        args, rows = bench.args_of(cell, scratch), bench.rows_of(cell)
        refuse_too_large(bench.recipe.checkpoint, self._parameters, args, jobs=bench.own.jobs or 1)
        encoded, codec = self._encode(cell), self._new_codec()  # a codec belongs to one training, whose loss it fits
        set_seed(args.seed)
        trainer = TransferTrainer(
            model=codec.model(pretrained=args.pretrained, blocks=args.blocks),
            args=args,
            task=task,
            codec=codec,
            rows=rows,
            encoded=encoded,
        )
        pruning = self._make_pruning(cell, args)
        if pruning is not None:
            trainer.add_callback(pruning)
        with measure_energy() as spent, measure() as cost:
            trainer.train()
            if pruning is None or pruning.ended_at is None:
                trainer.tune_decision(keep_untuned=False)
        settings = {
            "curve": curve_of(trainer.state.log_history, task.judge.headline.key),
            "cost": cost | spent,
            "parameters": trainer.model.num_parameters(),
            "trained_parameters": max(stage["trainable"] for stage in trainer.plan_rows()),
            "learning_rate": args.learning_rate,
            "head_learning_rate": args.head_learning_rate,
            "epochs": args.num_train_epochs,
            "rows": len(rows["train"]),
        }
        if pruning is not None and pruning.ended_at is not None:
            reason = f"ended after evaluation {pruning.ended_at}: behind the median of the trials before it"
            return {"status": "pruned", "reason": reason, **settings}, {}
        outputs, answers, seconds = {}, {}, {}
        for split in ("validation", "test"):
            start = time.perf_counter()
            outputs[split] = trainer.outputs(split)
            seconds[split] = time.perf_counter() - start
            answers[split] = trainer.evaluated.predictions
            if not all(np.isfinite(values).all() for values in outputs[split].values()):
                raise FloatingPointError(f"the outputs on {split} are not finite: the weights have grown beyond bounds")
        references, headline = task.rows.references(rows["validation"]), task.judge.headline.key
        facts = {
            **settings,
            **self._judge(answers["test"], rows["test"]),
            "validation": task.judge.score(answers["validation"], references)[headline],
            "latency_ms": 1000 * seconds["test"] / len(rows["test"]),
        }
        return facts, probabilities_of(codec, outputs, trainer.encoded, references, rows.labels)

    def _make_pruning(self, cell: Cell, args: TransferArguments) -> Pruning | None:
        """The callback that may end a trial of a search; None where none may."""
        search = self.bench.search
        if search is None or not self.bench.is_trial(cell) or args.decided:  # those end their stages themselves
            return None
        falls_behind = search.pruner(cell)
        key = f"eval_{self.bench.task.judge.headline.key}"
        return falls_behind and Pruning(falls_behind, key, self.bench.sign)

    def _run_baseline(self, cell: Cell, scratch: Path) -> tuple[dict[str, Any], Arrays]:
        rows = self.bench.rows_of(cell)
        set_seed(cell.seed)
        with measure_energy() as spent, measure() as cost:
            answers = self.bench.make_baseline(cell).answers(self.bench.task, rows)
        facts = {
            **self._judge(answers.predictions, rows["test"]),
            "cost": cost | spent,
            "rows": len(rows["train"]),
            "facts": dict(answers.facts),
        }
        return facts, {} if answers.probabilities is None else {"probabilities_test": answers.probabilities}

    def _judge(self, answers: list, rows: Dataset) -> dict[str, Any]:
        """The answers to the test rows of a cell, and what they are worth."""
        task, references = self.bench.task, self.bench.task.rows.references(rows)
        # The only test of a fold is the fold.
        spans = {name: slice(span.start, min(span.stop, len(rows))) for name, span in self.bench.spans.items()}
        tests = {name: task.judge.score(answers[span], references[span]) for name, span in spans.items()}
        return {"tests": tests, "answers": answers, "collapsed": self._has_collapsed(answers, rows)}

    def _has_collapsed(self, answers: list, rows: Dataset) -> bool:
        """Whether every row of several got one and the same answer."""
        view = self.bench.task.view
        shown = (to_text(view.answer(answer, row)) for answer, row in zip(answers, rows, strict=True))
        first = next(shown)
        return len(answers) > 1 and all(other == first for other in shown)

    def _new_codec(self) -> Codec:
        return self.bench.task.codec(self.bench.recipe.checkpoint, self.bench.rows.target)

    @cached_property
    def _parameters(self) -> int:
        return parameters_of(self.bench.task, self.bench.recipe.checkpoint, self.bench.rows.target)

    @cached_property
    def _codec(self) -> Codec:
        """The one that encodes the rows of every cell."""
        return self._new_codec()

    @cached_property
    def _encoded(self) -> DatasetDict:
        """All splits, for cells that learn from all rows."""
        splits = self.bench.rows.splits
        return DatasetDict(
            {split: self._codec.encode(rows, split=split, answers=True) for split, rows in splits.items()}
        )

    def _encode(self, cell: Cell) -> DatasetDict:
        if cell.rows is None and cell.fold is None:
            return self._encoded
        rows = self.bench.rows_of(cell)
        own = ("train", "validation") if cell.fold is None else ("train", "validation", "test")
        drawn = {split: self._codec.encode(rows[split], split=split, answers=True) for split in own}
        return DatasetDict(drawn if "test" in drawn else {**self._encoded, **drawn})


def is_fault_of_machine(error: Exception) -> bool:
    """Whether a system call failed, or memory was full: the same cell may well run another time."""
    refused = isinstance(error, OSError) and error.errno is not None  # transformers raises some without a number
    return refused or isinstance(error, MemoryError)


def curve_of(history: Sequence[Mapping[str, Any]], headline: str) -> list[dict[str, float]]:
    """Validation score by epoch, from the trainer's log."""
    key = f"eval_{headline}"
    return [{"epoch": float(entry["epoch"]), "validation": float(entry[key])} for entry in history if key in entry]


def probabilities_of(
    codec: Codec,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    encoded: Mapping[str, Any],
    references: list,
    labels: list[str],
) -> Arrays:
    """The probabilities of every split, (rows, labels), that calibration is measured on; {} unless a row has one class.

    Args:
        references: of any rows of this task.
    """
    if not isinstance(codec, Likely) or class_ids(references, labels) is None:
        return {}
    found = {split: codec.likelihoods(outputs[split], encoded[split]) for split in outputs}
    return {f"probabilities_{split}": values for split, values in found.items() if values is not None}


def class_ids(references: list, labels: list[str]) -> np.ndarray | None:
    """The ids of the right classes, (rows,); None unless every row has exactly one of the labels."""
    ids = {label: number for number, label in enumerate(labels)}
    if not all(isinstance(answer, str) and answer in ids for answer in references):
        return None
    return np.array([ids[answer] for answer in references])
