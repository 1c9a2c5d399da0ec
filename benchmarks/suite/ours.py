r"""One cell of the suite: a recipe's own arguments and training, no flag touched but those that say what the data is.

python -m benchmarks.suite.ours recipes/bert_ner.py --result runs/a.json --dataset path/to/wnut17 --seed 1
"""

import sys
from pathlib import Path

from transformers import set_seed

from benchmarks.meter import write_cell
from hfkit import TransferTrainer, run
from hfkit.ledger.arguments import load_recipe
from hfkit.runtime.machine import measure


def main() -> None:
    recipe_file, _, result, *flags = sys.argv[1:]
    path = Path(result)
    quiet = ["--output_dir", str(path.with_suffix("")), "--overwrite_output_dir", "true", "--report_to", "none"]
    recipe, task, args = load_recipe(recipe_file)([*flags, *quiet, "--disable_tqdm", "true"])
    set_seed(args.seed)
    rows = task.load(recipe.checkpoint)
    codec = task.codec(recipe.checkpoint, rows.target)
    model = codec.model(pretrained=args.pretrained, blocks=args.blocks)
    # All that a default run spends to train, with what it measures and fits before and after.
    with measure() as cost:
        trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
        trainer.train()
        decision = trainer.tune_decision(keep_untuned=False)
    headline = task.judge.headline.key
    scores, answers = {}, {}
    for split in ("validation", "test"):
        answers[split] = trainer.predictions(split)
        scores[split] = task.judge.score(answers[split], trainer.references(split))
    write_cell(
        path,
        {"test": answers["test"]},
        contender=args.strategy,
        dataset=Path(task.dataset).name,
        headline=headline,
        learning_rate=args.learning_rate,
        seed=args.seed,
        **scores,
        decision=decision,
        steps=trainer.state.global_step,
        planned_steps=trainer.state.max_steps,
        curve=[
            {"step": entry["step"], "validation": entry[f"eval_{headline}"]}
            for entry in trainer.state.log_history
            if f"eval_{headline}" in entry
        ],
        best=trainer.state.best_model_checkpoint and Path(trainer.state.best_model_checkpoint).name,
        flags=flags,
        train=cost,
        train_cpu_seconds=cost["cpu_seconds"],
        train_wall_seconds=cost["wall_seconds"],
        invariants=trainer.facts()["invariants"],
    )


if __name__ == "__main__":
    run(main)
