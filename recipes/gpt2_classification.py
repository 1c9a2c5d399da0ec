"""Fine-tune a GPT-2 decoder to tell good reviews from bad, and judge it beside baselines on the same test rows.

    accelerate launch recipes/gpt2_classification.py
    python recipes/gpt2_classification.py --checkpoint openai-community/gpt2 --dataset path/to/folder --output_dir out

The story of bert_sentiment.py for a model that reads from left to right. What differs, the task sees to: GPT-2 pads
with its end token, and the head reads the last token that is no padding.

A --config YAML overrides the values below, flags override both; without any it trains a bundled decoder of 0.5 M
parameters, which shows the steps and no skill, on the bundled synthetic corpus.
"""

import transformers

from hfkit import KEEP_BEST, RecipeArguments, Report, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import chosen, require_baselines
from hfkit.tasks import TextClassification


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, TextClassification, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, TextClassification, TransferArguments),
        argv=argv,
        baseline=["majority", "tf-idf", "linear-probe"],
        checkpoint="sample-gpt2",
        output_dir="runs/gpt2-classification",
        strategy="gradual",
        num_train_epochs=3,
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

    # Model: the pretrained decoder under a new head with one logit per label.
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
    tuned = trainer.tune_decision(data["validation"])  # of several labels a row: each gets a threshold of its own
    trainer.save_model()
    predictions = trainer.predictions(data["test"])

    # Report: every contender on the same test rows, by the same score.
    if trainer.is_world_process_zero():
        facts = trainer.facts()
        report = Report(task, raw, prepared=data, settings={**vars(recipe), **vars(task), **args.to_dict()})
        report.trained(**facts)
        gain = "validation {before:.3f}, tuned {after:.3f}".format(**tuned) if tuned["before"] < tuned["after"] else ""
        report.add(f"fine-tuned ({args.strategy})", predictions, cost=facts["cost"], description=gain)
        for baseline in chosen(recipe, args.seed):
            report.judge(baseline)
        trainer.publish(report)


if __name__ == "__main__":
    run(main)
