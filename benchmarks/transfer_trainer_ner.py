r"""One cell of the NER benchmark with `TransferTrainer`: the recipe's training without baselines.

    python benchmarks/transfer_trainer_ner.py --dataset path/to/wnut17 --strategy gradual --seed 0 \
        --result runs/bench/wnut17/gradual-0.json

Takes the recipe's flags. Same data, epochs, batch size and choice of the best epoch on validation as
stock_trainer_ner.py; the scores come from the task's own judge.
"""

import json
import platform
import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import set_seed

from hfkit import RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.tasks import NER


@dataclass(frozen=True)
class CellArguments:
    """Where the result goes."""

    result: str = field(metadata={"help": "JSON file to write; predictions go beside it"})


def main() -> None:
    recipe, task, args, cell = parse(
        (RecipeArguments, NER, TransferArguments, CellArguments),
        num_train_epochs=3,
        per_device_train_batch_size=8,
        per_device_eval_batch_size=32,
        warmup_steps=0.1,
        weight_decay=0.01,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_only_model=True,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=NER.headline,
        logging_steps=50,
        overwrite_output_dir=True,
        output_dir="runs/bench/scratch",
    )
    result = Path(cell.result)
    result.parent.mkdir(parents=True, exist_ok=True)
    args.output_dir = str(result.with_suffix(""))
    set_seed(args.seed)
    raw = task.load()
    labels, processor = task.labels(raw), task.processor(recipe.checkpoint)
    data = task.prepare(raw, processor, labels)
    trainer = TransferTrainer(
        model=task.model(recipe.checkpoint, labels, pretrained=args.pretrained),
        args=args,
        task=task,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        processing_class=processor,
    )
    trainer.train()
    as_trained = task.score(trainer.predictions(data["test"]), task.references(raw["test"]))
    decision = trainer.tune_decision(data["validation"])
    predictions = {split: trainer.predictions(data[split]) for split in ("validation", "test")}
    scores = {split: task.score(predictions[split], task.references(raw[split])) for split in predictions}
    cost = trainer.facts()["cost"]
    keys = ("f1", "precision", "recall")
    facts = {
        "contender": args.strategy,
        "dataset": Path(task.dataset).name,
        "learning_rate": args.learning_rate,
        "head_learning_rate": args.head_learning_rate,
        "layer_decay": args.layer_decay,
        "epochs": args.num_train_epochs,
        "batch_size": args.per_device_train_batch_size,
        "seed": args.seed,
        "validation": {key: scores["validation"][key] for key in keys},
        "test": {key: scores["test"][key] for key in keys},
        "test_as_trained": {key: as_trained[key] for key in keys},
        "validation_as_trained": {"f1": decision["before"]},
        "train_wall_seconds": cost["wall_seconds"],
        "train_cpu_seconds": cost["cpu_seconds"],
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "invariants": trainer.facts()["invariants"],
        "command": "python " + " ".join(sys.argv),
    }
    result.with_suffix(".predictions.json").write_text(json.dumps({"test": predictions["test"]}))
    result.write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps({key: facts[key] for key in ("contender", "learning_rate", "seed", "validation", "test")}))


if __name__ == "__main__":
    run(main)
