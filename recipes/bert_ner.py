"""Fine-tune a BERT encoder to tag named entities, and judge it beside baselines on the same test rows.

    accelerate launch recipes/bert_ner.py
    accelerate launch recipes/bert_ner.py --config recipes/configs/bert_ner_wnut17.yaml
    python recipes/bert_ner.py --dataset path/to/parquet/folder --output_dir out --strategy lora

Every value below is a default; a --config YAML overrides it, and the command line overrides both. Without a flag it
trains the bundled encoder on the bundled synthetic corpus, without a network. Measured results: model_cards/bert-ner.md
"""

import transformers

from hfkit import KEEP_BEST, RecipeArguments, Report, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import chosen, require_baselines
from hfkit.tasks import NER


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, NER, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, NER, TransferArguments),
        argv=argv,
        baseline=["lexicon", "linear-probe"],
        output_dir="runs/bert-ner",
        strategy="gradual",
        num_train_epochs=2,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=32,
        warmup_steps=0.1,  # of training
        weight_decay=0.01,
        **KEEP_BEST,  # judged after every epoch; the best one on validation is kept
    )


def main() -> None:
    recipe, task, args = arguments()
    require_baselines(recipe)  # what a contender lacks shows now, not after training
    transformers.set_seed(args.seed)

    # Data: checked rows in, model inputs out, one label map over all splits.
    processor = task.processor(recipe.checkpoint)  # first: a wrong checkpoint shows before a large dataset is read
    raw = task.load()
    labels = task.labels(raw)
    data = task.prepare(raw, processor, labels)

    # Model: the pretrained encoder under a new head with one logit per label.
    model = task.model(recipe.checkpoint, labels, pretrained=args.pretrained, blocks=args.blocks)

    # Training: the strategy says which blocks learn when, and how fast; the best epoch on validation is kept.
    trainer = TransferTrainer(
        model=model,
        args=args,
        task=task,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        processing_class=processor,
    )
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    as_trained = trainer.predictions(data["test"])
    tuned = trainer.tune_decision(data["validation"])  # moves the head's bias to where F1, not accuracy, is best
    trainer.save_model()
    predictions = trainer.predictions(data["test"])

    # Report: every contender on the same test rows, by the same score.
    if trainer.is_world_process_zero():
        report = Report(task, raw, prepared=data, settings={**vars(recipe), **vars(task), **args.to_dict()})
        facts = trainer.facts()
        report.trained(**facts)
        cost, gain = facts["cost"], "{before:.3f} before, {after:.3f} after".format(**tuned)
        report.add(f"fine-tuned ({args.strategy})", predictions, cost=cost, description=f"validation {gain} tuning")
        report.add("the same, decision not tuned", as_trained, cost=cost)
        for baseline in chosen(recipe, args.seed):
            report.judge(baseline)
        trainer.publish(report)


if __name__ == "__main__":
    run(main)
