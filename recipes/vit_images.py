"""Fine-tune a vision transformer to tell pictures apart, and judge it beside baselines on the same test rows.

    accelerate launch recipes/vit_images.py
    python recipes/vit_images.py --checkpoint google/vit-base-patch16-224-in21k --dataset my/photos --flip horizontal

A dataset is a folder of train/CLASS/*.jpg and so on, parquet files with images, or one of the Hub. A --config YAML
overrides the values below, flags override both; without any, the bundled transformer learns 8 x 8 digits, offline.
"""

import transformers

from hfkit import KEEP_BEST, RecipeArguments, Report, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import chosen, require_baselines
from hfkit.tasks import ImageClassification


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, ImageClassification, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, ImageClassification, TransferArguments),
        argv=argv,
        baseline=["majority", "pixels", "linear-probe"],
        checkpoint="sample-vit",
        output_dir="runs/vit-images",
        flip="none",  # a mirrored digit is none; photographs want "horizontal"
        strategy="gradual",
        num_train_epochs=8,
        learning_rate=1e-3,
        head_learning_rate=3e-3,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=64,
        warmup_steps=0.1,  # of training
        weight_decay=0.05,
        **KEEP_BEST,  # judged after every epoch; the best one on validation is kept
    )


def main() -> None:
    recipe, task, args = arguments()
    require_baselines(recipe)  # what a contender lacks shows now, not after training
    transformers.set_seed(args.seed)

    # Data: every image looked at once, rows with paths or bytes in; pixels are made batch by batch.
    processor = task.processor(recipe.checkpoint)  # first: a wrong checkpoint shows before a large dataset is read
    raw = task.load()
    labels = task.labels(raw)
    data = task.prepare(raw, processor, labels)

    # Model: the pretrained backbone under a new head with one logit per label.
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
    trainer.tune_decision(data["validation"])  # of several labels an image: each gets a threshold of its own
    trainer.save_model()
    predictions = trainer.predictions(data["test"])

    # Report: every contender on the same test rows, by the same score, and the pictures as training saw them.
    if trainer.is_world_process_zero():
        report = Report(task, raw, prepared=data, settings={**vars(recipe), **vars(task), **args.to_dict()})
        report.trained(**trainer.facts())
        report.show(task.pictures(data["train"], trainer.training_collator, 16))
        report.add(f"fine-tuned ({args.strategy})", predictions, cost=trainer.facts()["cost"])
        for baseline in chosen(recipe, args.seed):
            report.judge(baseline)
        trainer.publish(report)


if __name__ == "__main__":
    run(main)
