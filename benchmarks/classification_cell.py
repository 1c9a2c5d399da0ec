r"""One cell of the classification benchmark: a strategy or a baseline on one dataset, judged on its test rows.

    python benchmarks/classification_cell.py text --dataset path/to/yelp --strategy gradual --result a.json
    python benchmarks/classification_cell.py image --dataset path/to/cells --rival classical --result b.json

Takes the recipes' flags. With `--other_tests` the same model also answers the test rows of other datasets that have the
same labels. Beside the result lie the answers to every test, which intervals and differences are made of.
"""

import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from transformers import set_seed

from hfkit import RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import LinearProbe, Majority, PixelProbe, TfIdf
from hfkit.contract.task import Loaded
from hfkit.runtime.machine import environment, measure
from hfkit.scores.statistics import bootstrap_interval
from hfkit.tasks import ImageClassification, TextClassification

TASKS = {"text": TextClassification, "image": ImageClassification}
CLASSICAL = {"text": TfIdf, "image": PixelProbe}


@dataclass(frozen=True)
class CellArguments:
    """Who competes, and where the result goes."""

    result: str = field(metadata={"help": "JSON file to write"})
    rival: Literal["none", "majority", "classical", "frozen"] = field(
        default="none", metadata={"help": "a contender without fine-tuning, instead of --strategy"}
    )
    other_tests: list[str] = field(default_factory=list, metadata={"help": "more datasets, of which only test is used"})


def main() -> None:
    kind, *flags = sys.argv[1:]
    recipe, task, args, cell = parse(
        (RecipeArguments, TASKS[kind], TransferArguments, CellArguments),
        argv=flags,
        num_train_epochs=3,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=32,
        warmup_steps=0.1,
        weight_decay=0.01,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_only_model=True,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="headline",
        logging_steps=50,
        overwrite_output_dir=True,
        report_to="none",
        disable_tqdm=True,
        output_dir="runs/bench/scratch",
    )
    result = Path(cell.result)
    result.parent.mkdir(parents=True, exist_ok=True)
    args.output_dir = str(result.with_suffix(""))
    set_seed(args.seed)
    loaded = task.load()
    tests = {Path(task.dataset).name: loaded["test"]}
    tests |= {Path(other).name: replace(task, dataset=other).load()["test"] for other in cell.other_tests}
    if cell.rival == "none":
        contender, validation, answers, cost = train(recipe, task, args, loaded, tests)
    else:
        baseline = {"majority": Majority, "classical": CLASSICAL[kind]}.get(cell.rival)
        contender = baseline() if baseline else LinearProbe(recipe.checkpoint)
        with measure() as cost:
            answers = {
                name: contender.predict(task, loaded.with_splits({**loaded.splits, "test": rows}))
                for name, rows in tests.items()
            }
        contender, validation = contender.name, None
    facts = {
        "contender": contender,
        "kind": cell.rival if cell.rival != "none" else args.strategy,
        "task": kind,
        "checkpoint": Path(recipe.checkpoint).name,
        "dataset": Path(task.dataset).name,
        "headline": task.judge.headline.key,
        "rows": {split: len(rows) for split, rows in loaded.splits.items()},
        "labels": len(loaded.labels),
        "settings": settings(args) if cell.rival == "none" else {},
        "task_settings": {key: value for key, value in vars(task).items() if key != "dataset"},
        "seed": args.seed,
        "validation": validation,
        "cost": cost,
        "tests": {},
        "environment": environment(),
    }
    for name, rows in tests.items():
        references = task.rows.references(rows)
        kept = {"answers": answers[name], "references": references}
        result.with_suffix(f".{name}.answers.json").write_text(json.dumps(kept))
        facts["tests"][name] = {
            "rows": len(rows),
            "scores": task.judge.score(answers[name], references),
            "interval": asdict(bootstrap_interval(task.judge.evidence(answers[name], references))),
        }
    result.write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps({name: found["scores"][task.judge.headline.key] for name, found in facts["tests"].items()}))


def train(
    recipe: RecipeArguments, task: Any, args: TransferArguments, loaded: Loaded, tests: dict[str, Dataset]
) -> tuple[str, dict[str, float], dict[str, list], dict[str, float]]:
    """Name, validation scores, answers to every test, and cost of a fine-tuned model."""
    codec = task.codec(recipe.checkpoint, loaded.target)
    trainer = TransferTrainer(
        model=codec.model(pretrained=args.pretrained, blocks=args.blocks),
        args=args,
        task=task,
        codec=codec,
        rows=loaded.with_splits({**loaded.splits, **{f"test {name}": rows for name, rows in tests.items()}}),
    )
    trainer.train()
    trainer.tune_decision(keep_untuned=False)
    validation = task.judge.score(trainer.predictions("validation"), trainer.references("validation"))
    answers = {name: trainer.predictions(f"test {name}") for name in tests}
    return args.strategy, validation, answers, trainer.facts()["cost"]


def settings(args: TransferArguments) -> dict[str, Any]:
    keys = ("learning_rate", "head_learning_rate", "layer_decay", "num_train_epochs", "per_device_train_batch_size")
    return {key: getattr(args, key) for key in keys}


if __name__ == "__main__":
    run(main)
