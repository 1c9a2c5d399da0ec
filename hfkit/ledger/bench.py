"""The subject of a comparison: one task, one split of its rows, and everything that decides the result of a cell."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache, cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, concatenate_datasets
from transformers import IntervalStrategy

from hfkit.arguments.strategies import STRATEGIES
from hfkit.arguments.training import TransferArguments
from hfkit.baselines import SetFit
from hfkit.baselines.base import Baseline
from hfkit.baselines.choice import make_baseline, require_flags
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
from hfkit.contract.view import Number
from hfkit.data.digests import rows_digest
from hfkit.errors import UserError
from hfkit.ledger.arguments import TRIALS, load_recipe, scale_rates, split_flags
from hfkit.ledger.cells import Cell, Contender, Search
from hfkit.ledger.folds import Folds
from hfkit.ledger.search import OptunaSearch, RandomSearch, import_optuna
from hfkit.ledger.space import Choice, Space, apply_factors, default_space, flags_of, read_space
from hfkit.progress import silence_other_bars
from hfkit.runtime.folders import require_writable
from hfkit.training.budget import FEWEST_STEPS, settle_length
from hfkit.training.checkpoints import deciding
from hfkit.version import __version__

# Of a bundled sample, unless a flag says otherwise: a comparison trains dozens of times.
SAMPLE_ROWS, SAMPLE_EPOCHS = 160, 4.0
CHOOSING = ("eval_strategy", "eval_steps", "eval_delay", "greater_is_better")  # which weights are the best ones
SHARED = "activations"  # folder of what trials compute once for all of them
NOT_SEARCHED = ("seed", "strategy", "output_dir", "cache_dir", "resume_from_checkpoint")
QUIET = (
    *("--overwrite_output_dir", "true", "--save_only_model", "true"),
    *("--report_to", "none", "--resume_from_checkpoint", "false", "--push_to_hub", "false"),
)


class Bench:
    """The contenders and rows of a comparison, the same in every process that works on it.

    Args:
        argv: flags of `CompareArguments` and of the recipe.

    Raises:
        UserError: the recipe, the flags or the data cannot be compared with.
    """

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.own, self.flags = own, flags = split_flags(argv)
        self.space = read_space(own.tune_space) if own.tune_space else None
        self._keys: dict[Cell, str] = {}
        self._content_of = cache(content_of)  # weights do not change while they are compared
        self.arguments = load_recipe(own.recipe)
        self.asked = self.arguments(flags)
        self.recipe, self.task, _ = self.asked
        if self.recipe.features_dir is None:
            self.recipe = replace(self.recipe, features_dir=str(Path(own.compare_dir, "features")))
        if self.task.dataset == "sample" and self.task.max_train_rows is None:
            self.task = replace(self.task, max_train_rows=SAMPLE_ROWS)
        require_writable(Path(own.compare_dir))
        self.search = self._make_search()
        self.folds = Folds(self.task, own.folds, self.recipe.checkpoint) if own.folds else None
        loaded = self.folds.whole if self.folds else self._load()
        self.spans = {Path(self.task.dataset).name: slice(0, len(loaded["test"]))}  # of each test among all test rows
        others: dict[str, Dataset] = {}
        for dataset in own.other_tests:
            name = Path(dataset).name
            if name in self.spans:
                raise UserError(
                    f"other_tests '{dataset}'",
                    "a page is named after its dataset's folder",
                    "Rename one of the folders",
                )
            others[dataset] = self._load(dataset=dataset, max_train_rows=None)["test"]
            start = max(span.stop for span in self.spans.values())
            self.spans[name] = slice(start, start + len(others[dataset]))
        # All tests as one: every contender answers them in one go.
        self.rows = loaded.with_splits({**loaded.splits, "test": join_tests(self.task, loaded, others)})

    @property
    def sign(self) -> int:
        """1, or -1 if a lower headline is better."""
        return self.task.judge.headline.sign

    @cached_property
    def available(self) -> int:
        """The training rows of the dataset, of which `--max_train_rows` takes some."""
        if self.folds is not None:
            return self.folds.available
        if self.task.max_train_rows is None:
            return len(self.rows["train"])
        return len(self._load(max_train_rows=None)["train"])

    @cached_property
    def references(self) -> list:
        """The gold answers to the rows of all tests."""
        return self.task.rows.references(self.rows["test"])

    def contenders(self) -> list[Contender]:
        """Strategies and baselines in the order in which they were named.

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
            if self.search is not None:
                self._refuse_space(contender)
        require_flags(self.recipe)
        baselines = {name: make_baseline(name, self.recipe) for name in self.recipe.baseline}
        return strategies + [Contender(name, "baseline", seeded=one.seeded) for name, one in baselines.items()]

    def _load(self, **changes: Any) -> Loaded:
        """The task's rows; with --on_bad_row skip, those that the checkpoint can read."""
        return replace(self.task, **changes).load(self.recipe.checkpoint)

    def _make_search(self) -> Search | None:
        own = self.own
        if own.tuner == "random":
            return RandomSearch(self.space_of, own.trials or TRIALS, own.seeds[0])
        if own.tuner == "optuna":
            import_optuna()  # refused now if it is missing
            return OptunaSearch(self.space_of, own.trials or TRIALS, own.seeds[0], self.sign)
        return None

    def space_of(self, contender: Contender) -> tuple[Space, TransferArguments]:
        """The space of a search over a strategy, and the strategy's own settings."""
        args = self.args_of(Cell(contender, self.own.seeds[0]), Path("unused"))
        return self.space or default_space(args, self.own.tune), args

    def _refuse_space(self, contender: Contender) -> None:
        """Refuse a space whose values are no settings of training, or change more than that."""
        for name, span in self.space_of(contender)[0].items():
            ends = span.values if isinstance(span, Choice) else (span.low, span.high)
            for value in ends:
                flags = [*self.flags, *contender.flags, *flags_of(((name, value),))]
                if self.arguments(flags)[:2] != self.asked[:2] or name in NOT_SEARCHED:
                    raise UserError(f"tune_space {name}", "a search is over settings of training alone", "Leave it out")

    def is_trial(self, cell: Cell) -> bool:
        """Whether a cell is one of a search; its other seeds are not."""
        return cell.changes is not None and cell.seed == self.own.seeds[0] and cell.rows is None

    def make_baseline(self, cell: Cell) -> Baseline:
        """The baseline of a cell; if the cell draws its rows, it learns from all of them."""
        baseline = make_baseline(cell.contender.name, self.recipe, cell.seed)
        return replace(baseline, shots=None) if isinstance(baseline, SetFit) and cell.rows is not None else baseline

    def describe(self, contender: Contender) -> tuple[str, str]:
        """Its name and its description, for the pages."""
        if contender.kind == "baseline":
            baseline = make_baseline(contender.name, self.recipe)
            return baseline.name, baseline.description
        return contender.name, STRATEGIES[contender.flags[1]].summary

    def rows_of(self, cell: Cell) -> Loaded:
        """The rows that a cell may learn from, and the tests."""
        if cell.fold is not None:
            return self.folds.rows_of(cell.seed, cell.fold)
        if cell.rows is None:
            return self.rows
        # With few labels, the validation split is small too.
        drawn = {
            split: draw_rows(self.task, self.rows[split], cell.rows, cell.seed) for split in ("train", "validation")
        }
        return self.rows.with_splits({**self.rows.splits, **drawn})

    def args_of(self, cell: Cell, scratch: Path) -> TransferArguments:
        """The training arguments of a cell.

        Args:
            scratch: folder for its files.
        """
        changes = cell.changes or ()
        own = [*cell.contender.flags, *flags_of(changes), "--seed", str(cell.seed), "--output_dir", str(scratch)]
        args = apply_factors(scale_rates(self.arguments([*self.flags, *own, *QUIET])[2], cell.factor), changes)
        if self.is_trial(cell) and args.cache_dir is None:
            # What frozen layers make of the same rows is the same in all of them.
            args.cache_dir = str(Path(self.own.compare_dir, SHARED))
        if args.num_train_epochs is None and self.task.dataset == "sample" and cell.rows is None:
            args.num_train_epochs = SAMPLE_EPOCHS
        elif args.num_train_epochs is None:
            settle_length(args, cell.rows or self._count_training_rows(cell))
        elif cell.rows is not None and args.max_steps <= 0:
            # Rows per step of one process: the number of GPUs of a machine must not change what is computed.
            step_rows = args.per_device_train_batch_size * args.gradient_accumulation_steps
            lengthen(args, steps_of_epoch=-(-cell.rows // step_rows))
        return args

    def _count_training_rows(self, cell: Cell) -> int:
        if cell.fold is None:
            return len(self.rows["train"])
        return len(self.folds.numbers_of(cell.seed, cell.fold)["train"])

    # What decides a result

    def key(self, cell: Cell) -> str:
        """The file name of a cell, which changes as soon as anything changes that decides its result."""
        if cell not in self._keys:
            self._keys[cell] = cell.key({**self._common, "settings": self._settings(cell)})
        return self._keys[cell]

    def _settings(self, cell: Cell) -> str:
        if cell.contender.kind == "baseline":
            settings = {**asdict(self.make_baseline(cell)), "cache_dir": None}
            # The content of a folder decides, not its name.
            of_models = {
                name: self._content_of(at) for name, at in settings.items() if name.endswith("checkpoint") and at
            }
            settings |= of_models
        else:
            args = self.args_of(cell, Path("unused")).to_dict()
            settings = {name: args[name] for name in deciding(args) if name in args}
            if args["load_best_model_at_end"]:
                settings |= {name: args[name] for name in CHOOSING}
        return settings_text(settings)

    @cached_property
    def _common(self) -> dict[str, Any]:
        task = {key: value for key, value in vars(self.task).items() if not key.startswith("dataset")}
        common = {
            "version": __version__,
            "task": [self.task.key, settings_text(task)],
            "rows": {split: rows_digest(rows) for split, rows in self.rows.splits.items()},
            "checkpoint": self._content_of(self.task.path(self.recipe.checkpoint)),
        }
        # Only with folds: cells of earlier versions keep their names.
        return common if self.folds is None else common | {"folds": self.folds.count}


def lengthen(args: TransferArguments, steps_of_epoch: int) -> None:
    """Train for at least `FEWEST_STEPS`, with as many evaluations as before: short epochs are many."""
    epochs = max(args.num_train_epochs, -(-FEWEST_STEPS // steps_of_epoch))
    if epochs > args.num_train_epochs and args.eval_strategy == IntervalStrategy.EPOCH:
        every = max(1, round(epochs * steps_of_epoch / args.num_train_epochs))
        args.eval_strategy = args.save_strategy = IntervalStrategy.STEPS
        args.eval_steps = args.save_steps = every
    args.num_train_epochs = epochs


def settings_text(settings: Mapping[str, Any]) -> str:
    """The settings that are set, as text. Those that are off are left out, so that a new flag changes no key."""
    kept = {name: value for name, value in settings.items() if value not in (None, "", []) and value is not False}
    return json.dumps(kept, sort_keys=True, default=str)


@silence_other_bars()
def join_tests(task: Task, first: Loaded, others: Mapping[str, Dataset]) -> Dataset:
    """The test rows of all datasets as one.

    Args:
        others: test rows by the name of their dataset.

    Raises:
        UserError: another dataset has labels that the training rows do not have, or other columns.
    """
    for name, rows in others.items():
        unknown = sorted(set(names_of(task.rows.target(DatasetDict(train=rows)))) - set(first.labels))
        if unknown and task.view.answers is not Number:  # a number need not be among those of the training rows
            raise UserError(
                f"other_tests '{name}'", f"it has labels that the training rows do not have: {unknown[:5]}", "Mend them"
            )
    tests, features = [first["test"], *others.values()], first["test"].features
    try:
        return concatenate_datasets([rows if rows.features == features else rows.cast(features) for rows in tests])
    except (ValueError, TypeError) as error:
        raise UserError("other_tests", f"their columns differ ({error})", "Give datasets of one form") from error


def draw_rows(task: Task, rows: Dataset, count: int, seed: int) -> Dataset:
    """`count` rows drawn with the seed, or all if there are fewer; a larger draw contains the smaller ones.

    If every row has one class, the classes take turns: 8 rows of 4 classes are 2 of each.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    references = task.rows.references(rows)
    if all(isinstance(answer, str) for answer in references):
        seen: dict[str, int] = {}
        turn = []
        for row in order:
            turn.append(seen.get(references[row], 0))
            seen[references[row]] = turn[-1] + 1
        order = order[np.argsort(turn, kind="stable")]
    return rows.select(np.sort(order[:count]))


def content_of(checkpoint: str) -> str:
    """The identity of a checkpoint: a digest of a folder's weights and configuration, or the Hub id."""
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
