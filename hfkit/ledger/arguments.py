"""The flags of `hfkit compare`, besides those of the recipe that it compares with."""

import importlib.util
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hfkit.arguments.parse import FlagParser, refuse_tokens, require_choice
from hfkit.arguments.ranges import POSITIVE_COUNT, RANGES, RATE, Range, add_ranges_to_help, refuse_outside
from hfkit.arguments.strategies import STRATEGIES
from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError, one_line
from hfkit.runtime.files import require_file

TUNERS = ("grid", "random", "optuna")
TRIALS = 16  # of a search


@dataclass(frozen=True)
class CompareArguments:
    """The contenders, their seeds, and the folder of the pages. All other flags are the recipe's."""

    recipe: str = field(
        default="recipes/bert_sentiment.py", metadata={"help": "the recipe whose task and flags are compared with"}
    )
    strategies: list[str] = field(
        default_factory=lambda: [name for name in STRATEGIES if name != "auto"],
        metadata={"help": "ways of training, by name; flags of the recipe may follow: 'full --reinit_blocks 2'"},
    )
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2], metadata={"help": "every strategy runs once with each"})
    tune: list[float] = field(
        default_factory=lambda: [1.0],
        metadata={"help": "factors on a strategy's learning rates; validation chooses with the first seed"},
    )
    tuner: str = field(
        default="grid",
        metadata={
            "help": "grid: the factors of --tune; random: trials drawn from a space of settings; optuna: trials that go"
            " by the results of those before, of which some are ended early"
        },
    )
    trials: int | None = field(
        default=None,
        metadata={"help": f"runs that --tuner random or optuna takes for each strategy; default: {TRIALS}"},
    )
    tune_space: str | None = field(
        default=None,
        metadata={
            "help": "file of JSON or YAML with the settings to search: of each flag {low, high, log}, or a list of"
            " values"
        },
    )
    label_budgets: list[int] = field(
        default_factory=list, metadata={"help": "numbers of training rows to draw, for scores against labels"}
    )
    other_tests: list[str] = field(
        default_factory=list, metadata={"help": "more datasets, whose test rows are judged on pages of their own"}
    )
    compare_dir: str = field(
        default="runs/compare", metadata={"help": "where results and pages go; a comparison continues from there"}
    )
    folds: int | None = field(
        default=None,
        metadata={"help": "cross-validation: so many folds of train and validation, each the test of one run"},
    )
    jobs: int | None = field(
        default=None, metadata={"help": "runs at once on this machine; default: one per GPU, or per core as memory has"}
    )
    retry_failed: bool = field(default=False, metadata={"help": "run again what failed before"})
    json: bool = field(default=False, metadata={"help": "print one JSON document at the end, and all else to stderr"})

    ranges: ClassVar[Mapping[str, Range]] = {
        "seeds": RANGES["seed"],
        "tune": RATE,
        "label_budgets": POSITIVE_COUNT,
        "trials": Range(2, 10_000),
        "folds": Range(2, 1000),
        "jobs": Range(1, 4096),
    }

    def __post_init__(self) -> None:
        refuse_outside(self)
        for contender in self.strategies:
            require_choice("strategies", (shlex.split(contender) or [""])[0], STRATEGIES)
        for name in ("strategies", "seeds", "tune", "label_budgets", "other_tests"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise UserError(f"{name}={values}", "each is compared once", "Name it once")
        if not self.seeds or not self.tune:
            raise UserError("seeds, tune", "at least one of each is needed", "Leave the flag out")
        require_choice("tuner", self.tuner, TUNERS)
        for name in ("trials", "tune_space") if self.tuner == "grid" else ():
            if getattr(self, name) is not None:
                raise UserError(
                    f"{name}={getattr(self, name)}", "a grid is what --tune says", "Add --tuner random or optuna"
                )
        if self.tuner != "grid" and self.folds:
            rule = "each fold would need a search of its own"
            raise UserError(f"folds={self.folds}, tuner={self.tuner}", rule, "Leave one of the two out")
        for name in ("label_budgets", "other_tests"):
            if self.folds and getattr(self, name):
                raise UserError(
                    f"folds={self.folds}, {name}",
                    "folds are judged on the rows that they hold out, after training on all others",
                    "Leave one of the two out",
                )


Recipe = Callable[[list[str]], tuple]  # flags -> (RecipeArguments, task, TransferArguments)


def own_parser() -> FlagParser:
    """A parser of `CompareArguments`."""
    parser = FlagParser(CompareArguments, prog="hfkit compare", allow_abbrev=False)
    add_ranges_to_help(parser, (CompareArguments,))
    return parser


def split_flags(argv: list[str]) -> tuple[CompareArguments, list[str]]:
    """The comparison's own arguments, and the remaining flags, which are the recipe's.

    Raises:
        UserError: a value that is not allowed.
    """
    parser = own_parser()
    try:
        own, rest = parser.parse_args_into_dataclasses(argv, return_remaining_strings=True, look_for_args_file=False)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError("flags", one_line(error), "Change one of them") from error
    refuse_tokens(vars(own))
    return own, rest


def load_recipe(path: str) -> Recipe:
    """The function `arguments` of a recipe, which parses its flags.

    Raises:
        UserError: there is no such file, or no such function in it.
    """
    file = Path(path)
    require_file(file, f"recipe '{path}'", "Give the path of a recipe")
    if file.suffix != ".py":
        raise UserError(f"recipe '{path}'", "a recipe is a file of Python", "Give one such as recipes/bert_ner.py")
    spec = importlib.util.spec_from_file_location(f"hfkit_recipe_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))  # as if it was started: a recipe may import modules beside it
    spec.loader.exec_module(module)
    if not callable(vars(module).get("arguments")):
        raise UserError(
            f"recipe '{path}'",
            "a recipe that can be compared has a function arguments(argv) that returns what `parse` gives",
            "Write one as in recipes/bert_sentiment.py",
        )
    return module.arguments


def scale_rates(args: TransferArguments, factor: float) -> TransferArguments:
    """Multiply both learning rates of `args`, in place; returns it."""
    args.learning_rate *= factor
    if args.head_learning_rate is not None:
        args.head_learning_rate *= factor
    return args
