r"""The recipes' training without baselines, measured: one run of `TransferTrainer`, or of the linear probe, per call.

    python -m benchmarks.ours ner --dataset path/to/wnut17 --strategy gradual --result runs/a.json
    python -m benchmarks.ours text --dataset path/to/banking77 --strategy feature-extraction --last true --result b.json
    python -m benchmarks.ours probe --dataset path/to/banking77 --result runs/c.json

Takes the recipes' flags. Same data, evaluation in training and choice of the best epoch as `peers.py`.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from transformers import set_seed

from benchmarks.meter import Meter, write_cell
from hfkit import RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import LinearProbe
from hfkit.contract.task import Loaded
from hfkit.runtime.machine import measure
from hfkit.tasks import NER, ImageClassification, TextClassification

TASKS = {"ner": NER, "text": TextClassification, "image": ImageClassification, "probe": TextClassification}
KEEP_BEST = {
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_only_model": True,
    "save_total_limit": 1,
    "load_best_model_at_end": True,
    "metric_for_best_model": "headline",
}


@dataclass(frozen=True)
class CellArguments:
    """What is measured, and where the result goes."""

    result: str = field(metadata={"help": "JSON file to write; test answers go beside it"})
    evaluations: int = field(default=1, metadata={"help": "times that the test split is evaluated"})


def main() -> None:
    kind, *flags = sys.argv[1:]
    last = "--last" in flags  # no evaluation while training: the last weights are kept
    recipe, task, args, cell = parse(
        (RecipeArguments, TASKS[kind], TransferArguments, CellArguments),
        argv=[flag for flag in flags if flag != "--last"],
        own_flags=("--last",),
        num_train_epochs=3,
        per_device_train_batch_size=8,
        per_device_eval_batch_size=32,
        warmup_steps=0.1,
        weight_decay=0.01,
        **({"eval_strategy": "no", "save_strategy": "no"} if last else KEEP_BEST),
        logging_steps=50,
        overwrite_output_dir=True,
        disable_tqdm=True,
        report_to="none",
        output_dir="runs/bench/scratch",
    )
    set_seed(args.seed)
    result = Path(cell.result)
    args.output_dir = str(result.with_suffix(""))
    loaded = task.load()
    headline = task.judge.headline.key
    facts = {"task": kind, "dataset": Path(task.dataset).name, "headline": headline, "seed": args.seed}
    if kind == "probe":
        probe(recipe.checkpoint, task, loaded, facts, result)
        return
    codec = task.codec(recipe.checkpoint, loaded.target)
    trainer = TransferTrainer(
        model=codec.model(pretrained=args.pretrained, blocks=args.blocks),
        args=args,
        task=task,
        codec=codec,
        rows=loaded,
    )
    meter = Meter(trainer)
    cost = meter.train()
    if meter.is_text:
        cost["real_forward_flops"] = meter.real_flops(trainer.encoded["train"]) * args.num_train_epochs
    scores, answers = {}, {}

    def judge(suffix: str) -> None:
        for split in ("validation", "test"):
            answers[split + suffix] = trainer.predictions(split)
            scores[split + suffix] = task.judge.score(answers[split + suffix], trainer.references(split))

    judge("_as_trained")
    tuned = trainer.tune_decision(keep_untuned=False)
    if tuned["before"] != tuned["after"]:
        judge("")
    else:
        for found in (answers, scores):
            found |= {name.removesuffix("_as_trained"): value for name, value in found.items()}
    write_cell(
        result,
        {name: found for name, found in answers.items() if name.startswith("test")},
        contender=args.strategy,
        **facts,
        learning_rate=args.learning_rate,
        head_learning_rate=args.head_learning_rate,
        layer_decay=args.layer_decay,
        plan={name: getattr(args, name) for name in ("head_only", "unfreeze_stages", "unfreeze_until")},
        epochs=args.num_train_epochs,
        batch_size=args.per_device_train_batch_size,
        **scores,
        train=cost,
        train_cpu_seconds=cost["cpu_seconds"],
        train_wall_seconds=cost["wall_seconds"],
        evaluation=meter.evaluate(trainer.encoded["test"], trainer.predict, cell.evaluations),
        invariants=trainer.facts()["invariants"],
    )


def probe(checkpoint: str, task: TextClassification, loaded: Loaded, facts: dict, result: Path) -> None:
    """The linear probe from raw rows to test answers."""
    with measure() as whole:
        answers = LinearProbe(checkpoint).predict(task, loaded)
    write_cell(
        result,
        {"test": answers},
        contender=LinearProbe.name,
        **facts,
        test=task.judge.score(answers, task.rows.references(loaded["test"])),
        train_cpu_seconds=whole["cpu_seconds"],
        train_wall_seconds=whole["wall_seconds"],
        whole=whole,
    )


if __name__ == "__main__":
    run(main)
