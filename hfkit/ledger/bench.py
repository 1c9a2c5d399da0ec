"""The bench that every contender runs on: one task, one split, one way of measuring."""

import json
import shlex
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache, cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, concatenate_datasets
from transformers import IntervalStrategy, set_seed

from hfkit.arguments.strategies import STRATEGIES
from hfkit.arguments.training import TransferArguments
from hfkit.baselines import SetFit
from hfkit.baselines.base import Baseline
from hfkit.baselines.choice import made, require_flags
from hfkit.data.digests import rows_digest
from hfkit.errors import UserError, one_line
from hfkit.ledger.arguments import recipe_at, scaled, split_flags
from hfkit.ledger.cells import Cell, Contender
from hfkit.progress import alone
from hfkit.report.schema import finite, plain
from hfkit.runtime.energy import measure_energy
from hfkit.runtime.folders import require_writable
from hfkit.runtime.machine import measure
from hfkit.training.checkpoints import deciding
from hfkit.training.memory import parameters_of, refuse_too_large
from hfkit.training.trainer import TransferTrainer
from hfkit.version import __version__

SAMPLE_ROWS = 160  # of a bundled sample, unless told otherwise: a comparison trains dozens of times
FEWEST_STEPS = 60  # of training on few labels: an epoch of 8 rows is a single one
CHOOSING = ("eval_strategy", "eval_steps", "eval_delay", "greater_is_better")  # which weights are the best ones
QUIET = (
    *("--overwrite_output_dir", "true", "--save_only_model", "true"),
    *("--report_to", "none", "--resume_from_checkpoint", "false", "--push_to_hub", "false"),
)


class Bench:
    """Runs cells, all on the same rows.

    Args:
        argv: flags of `CompareArguments` and of the recipe.

    Raises:
        UserError: recipe, flags or data that cannot be compared with.
    """

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.own, self.flags = own, flags = split_flags(argv)
        self._keys: dict[Cell, str] = {}
        self._content_of = cache(content_of)  # weights do not change while they are compared
        self.arguments = recipe_at(own.recipe)
        self.asked = self.arguments(flags)
        self.recipe, self.task, _ = self.asked
        if self.recipe.features_dir is None:
            self.recipe = replace(self.recipe, features_dir=str(Path(own.compare_dir, "features")))
        if self.task.dataset == "sample" and self.task.max_train_rows is None:
            self.task = replace(self.task, max_train_rows=SAMPLE_ROWS)
        require_writable(Path(own.compare_dir))
        raw = self.task.load()
        self.spans = {Path(self.task.dataset).name: slice(0, len(raw["test"]))}
        tests = [raw["test"]]
        for other in own.other_tests:
            rows = replace(self.task, dataset=other, max_train_rows=None).load()["test"]
            if Path(other).name in self.spans:
                raise UserError(
                    f"other_tests '{other}'", "a page is named after its dataset's folder", "Rename one of the folders"
                )
            start = sum(map(len, tests))
            self.spans[Path(other).name] = slice(start, start + len(rows))
            tests.append(rows)
        self.labels = self.task.labels(raw)
        # All tests as one: every contender answers them in one go.
        self.raw = DatasetDict({**raw, "test": one_of(tests, own.other_tests, self.labels, self.task)})

    @cached_property
    def available(self) -> int:
        """Training rows that the dataset has, of which `--max_train_rows` takes some."""
        if self.task.max_train_rows is None:
            return len(self.raw["train"])
        return len(replace(self.task, max_train_rows=None).load()["train"])

    def contenders(self) -> list[Contender]:
        """Strategies and baselines in the order they were named.

        Raises:
            UserError: flags behind a strategy that change more than its training, or a baseline that cannot be made.
        """
        strategies = [
            Contender(contender, "strategy", ("--strategy", *shlex.split(contender)))
            for contender in self.own.strategies
        ]
        for contender in strategies:
            if self.arguments([*self.flags, *contender.flags])[:2] != self.asked[:2]:
                raise UserError(
                    f"strategies '{contender.name}'",
                    "all contenders start from one checkpoint and see the same rows",
                    "Give flags of the task, and --checkpoint, to the whole comparison, or compare in another folder",
                )
        require_flags(self.recipe)
        found = {name: made(name, self.recipe) for name in self.recipe.baseline}
        return strategies + [Contender(name, "baseline", seeded=one.seeded) for name, one in found.items()]

    def _made(self, cell: Cell) -> Baseline:
        """The baseline of a cell; with a number of rows to learn from it takes all of them."""
        found = made(cell.contender.name, self.recipe, cell.seed)
        return replace(found, shots=None) if isinstance(found, SetFit) and cell.rows is not None else found

    def described(self, contender: Contender) -> tuple[str, str]:
        """Its name and what it does, for the pages."""
        if contender.kind == "baseline":
            found = made(contender.name, self.recipe)
            return found.name, found.description
        return contender.name, STRATEGIES[contender.flags[1]].summary

    # What decides a result

    def key(self, cell: Cell) -> str:
        """The file name of a cell: another one as soon as anything that decides its result is another."""
        if cell not in self._keys:
            self._keys[cell] = cell.key({**self._common, "settings": self._settings(cell)})
        return self._keys[cell]

    def _settings(self, cell: Cell) -> str:
        if cell.contender.kind == "baseline":
            settings = {**asdict(self._made(cell)), "cache_dir": None}
            # What lies in a folder decides, not its name.
            of_models = {
                name: self._content_of(at) for name, at in settings.items() if name.endswith("checkpoint") and at
            }
            settings |= of_models
        else:
            args = self.args_of(cell, Path("unused")).to_dict()
            settings = {name: args[name] for name in deciding(args) if name in args}
            if args["load_best_model_at_end"]:
                settings |= {name: args[name] for name in CHOOSING}
        return as_text(settings)

    @cached_property
    def _common(self) -> dict[str, Any]:
        task = {key: value for key, value in vars(self.task).items() if not key.startswith("dataset")}
        return {
            "version": __version__,
            "task": [self.task.name, as_text(task)],
            "rows": {split: rows_digest(rows) for split, rows in self.raw.items()},
            "checkpoint": self._content_of(self.task.path(self.recipe.checkpoint)),
        }

    def args_of(self, cell: Cell, scratch: Path) -> TransferArguments:
        flags = [*self.flags, *cell.contender.flags, "--seed", str(cell.seed), "--output_dir", str(scratch), *QUIET]
        args = scaled(self.arguments(flags)[2], cell.factor)
        if cell.rows is not None and args.max_steps <= 0:
            # What a process takes in one step: how many GPUs a machine has must not change what is computed.
            step_rows = args.per_device_train_batch_size * args.gradient_accumulation_steps
            lengthen(args, steps_of_epoch=-(-cell.rows // step_rows))
        return args

    # Running

    def run(self, cell: Cell, scratch: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Train or fit, and answer the test rows. What cannot be run is told as `skipped`, what broke as `failed`."""
        try:
            runner = self._baseline if cell.contender.kind == "baseline" else self._strategy
            found, arrays = runner(cell, scratch)
            return {"status": "ok", "reason": "", **finite(plain(found))}, arrays
        except UserError as error:
            return {"status": "skipped", "reason": str(error)}, {}
        except Exception as error:  # whatever it is, the other cells go on
            traceback.print_exc()
            return {"status": "failed", "reason": f"{type(error).__name__}: {one_line(error)[:300]}"}, {}

    def data_of(self, cell: Cell) -> DatasetDict:
        """The loaded rows that a cell may learn from, and the tests."""
        if cell.rows is None:
            return self.raw
        # Who has few labels has few to validate on.
        return DatasetDict(
            {
                **self.raw,
                "train": drawn(self.task, self.raw["train"], cell.rows, cell.seed),
                "validation": drawn(self.task, self.raw["validation"], cell.rows, cell.seed),
            }
        )

    @cached_property
    def _parameters(self) -> int:
        return parameters_of(self.task, self.recipe.checkpoint, self.labels)

    @cached_property
    def _processor(self) -> Any:
        return self.task.processor(self.recipe.checkpoint)

    @cached_property
    def _prepared(self) -> DatasetDict:
        return self.task.prepare(self.raw, self._processor, self.labels)

    def _prepared_of(self, cell: Cell) -> DatasetDict:
        if cell.rows is None:
            return self._prepared
        learnt = DatasetDict({name: rows for name, rows in self.data_of(cell).items() if name != "test"})
        found = self.task.prepare(learnt, self._processor, self.labels)
        return DatasetDict({**found, "test": self._prepared["test"]})

    def _strategy(self, cell: Cell, scratch: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        task, args, raw = self.task, self.args_of(cell, scratch), self.data_of(cell)
        refuse_too_large(self.recipe.checkpoint, self._parameters, args, jobs=self.own.jobs or 1)
        data = self._prepared_of(cell)
        set_seed(args.seed)
        trainer = TransferTrainer(
            model=task.model(self.recipe.checkpoint, self.labels, pretrained=args.pretrained, blocks=args.blocks),
            args=args,
            task=task,
            train_dataset=data["train"],
            eval_dataset=data["validation"],
            processing_class=self._processor,
        )
        with measure_energy() as spent, measure() as cost:
            trainer.train()
            trainer.tune_decision(data["validation"])
        outputs = {"validation": trainer.predict(data["validation"]).predictions}
        start = time.perf_counter()
        outputs["test"] = trainer.predict(data["test"]).predictions
        seconds = time.perf_counter() - start
        for name, found in outputs.items():
            if not np.isfinite(found).all():
                raise FloatingPointError(f"the outputs on {name} are not finite: the weights have grown beyond bounds")
        answers = {name: task.decode(found, data[name], self.labels)[0] for name, found in outputs.items()}
        arrays = {
            f"probabilities_{name}": found
            for name in outputs
            if (found := task.probabilities(outputs[name], data[name])) is not None
        }
        plan = trainer.plan_rows()
        gold = task.references(raw["validation"])
        return {
            **self._judged(answers["test"]),
            "validation": task.score(answers["validation"], gold)[task.headline],
            "curve": curve_of(trainer.state.log_history, task.headline),
            "cost": cost | spent,
            "parameters": trainer.model.num_parameters(),
            "trained_parameters": max(stage["trainable"] for stage in plan),
            "latency_ms": 1000 * seconds / len(raw["test"]),
            "learning_rate": args.learning_rate,
            "head_learning_rate": args.head_learning_rate,
            "epochs": args.num_train_epochs,
            "rows": len(raw["train"]),
            "facts": {},
        }, {**arrays, "tallies": self._tallies(answers["test"])}

    def _baseline(self, cell: Cell, scratch: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        raw = self.data_of(cell)
        set_seed(cell.seed)
        with measure_energy() as spent, measure() as cost:
            answers = self._made(cell).answers(self.task, raw)
        arrays = {"tallies": self._tallies(answers.predictions)}
        if answers.probabilities is not None:
            arrays["probabilities_test"] = answers.probabilities
        return {
            **self._judged(answers.predictions),
            "validation": None,
            "curve": [],
            "cost": cost | spent,
            "parameters": None,
            "trained_parameters": None,
            "latency_ms": None,
            "rows": len(raw["train"]),
            "facts": dict(answers.facts),
        }, arrays

    @cached_property
    def _gold(self) -> list:
        return self.task.references(self.raw["test"])

    def _tallies(self, answers: list) -> np.ndarray:
        return self.task.tallies(answers, self._gold)

    def _judged(self, answers: list) -> dict[str, Any]:
        tests = {name: self.task.score(answers[span], self._gold[span]) for name, span in self.spans.items()}
        return {"tests": tests, "answers": answers, "collapsed": self._collapsed(answers)}

    def _collapsed(self, answers: list) -> bool:
        """Whether every row got one and the same answer."""
        said = (self.task.said(answer, row) for answer, row in zip(answers, self.raw["test"], strict=True))
        first = next(said)
        return all(other == first for other in said)


def lengthen(args: TransferArguments, steps_of_epoch: int) -> None:
    """Train for at least `FEWEST_STEPS`, judged as often as before: short epochs are many."""
    epochs = max(args.num_train_epochs, -(-FEWEST_STEPS // steps_of_epoch))
    if epochs > args.num_train_epochs and args.eval_strategy == IntervalStrategy.EPOCH:
        every = max(1, round(epochs * steps_of_epoch / args.num_train_epochs))
        args.eval_strategy = args.save_strategy = IntervalStrategy.STEPS
        args.eval_steps = args.save_steps = every
    args.num_train_epochs = epochs


def as_text(settings: Mapping[str, Any]) -> str:
    """Settings that are set, as text: what is off says nothing, so that a new flag changes no key."""
    kept = {name: value for name, value in settings.items() if value not in (None, "", []) and value is not False}
    return json.dumps(kept, sort_keys=True, default=str)


@alone()
def one_of(tests: list[Dataset], names: list[str], labels: list[str], task: Any) -> Dataset:
    """The test rows of all datasets as one.

    Raises:
        UserError: another dataset has labels that nobody learns, or other columns.
    """
    for name, rows in zip(names, tests[1:], strict=True):
        if isinstance(task.references(rows)[0], int | float):
            continue
        unknown = sorted(set(task.labels(DatasetDict({"train": rows}))) - set(labels))
        if unknown:
            raise UserError(
                f"other_tests '{name}'", f"it has labels that the training rows do not have: {unknown[:5]}", "Mend them"
            )
    try:
        features = tests[0].features
        return concatenate_datasets([rows if rows.features == features else rows.cast(features) for rows in tests])
    except (ValueError, TypeError) as error:
        raise UserError("other_tests", f"their columns differ ({error})", "Give datasets of one form") from error


def drawn(task: Any, rows: Dataset, count: int, seed: int) -> Dataset:
    """`count` rows drawn with the seed, or all if there are fewer; a larger draw holds the smaller ones.

    Where every row has one class, the classes take turns: 8 rows of 4 classes are 2 of each.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    gold = task.references(rows)
    if all(isinstance(answer, str) for answer in gold):
        seen: dict[str, int] = {}
        turn = []
        for row in order:
            turn.append(seen.get(gold[row], 0))
            seen[gold[row]] = turn[-1] + 1
        order = order[np.argsort(turn, kind="stable")]
    return rows.select(np.sort(order[:count]))


def curve_of(history: list[Mapping[str, Any]], headline: str) -> list[dict[str, float]]:
    """Validation score by epoch, from the trainer's log."""
    key = f"eval_{headline}"
    return [{"epoch": float(entry["epoch"]), "validation": float(entry[key])} for entry in history if key in entry]


def content_of(checkpoint: str) -> str:
    """What tells one checkpoint from another: a digest of a folder's weights and configuration, or the Hub id."""
    folder = Path(checkpoint)
    if not folder.is_dir():
        return checkpoint
    hasher = blake2b(digest_size=8)
    for file in sorted(file for kind in ("safetensors", "json", "txt", "model") for file in folder.glob(f"*.{kind}")):
        hasher.update(file.name.encode())
        with file.open("rb") as content:
            while chunk := content.read(1 << 20):
                hasher.update(chunk)
    return hasher.hexdigest()
