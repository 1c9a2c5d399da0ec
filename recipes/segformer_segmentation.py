"""Fine-tune a SegFormer to give every pixel a class, and judge it beside baselines on the same test rows.

    accelerate launch recipes/segformer_segmentation.py
    python recipes/segformer_segmentation.py --checkpoint nvidia/mit-b0 --dataset my/photos --flip horizontal

A dataset is a folder of images/ and masks/ of the same names, parquet files with both, or one of the Hub. A --config
YAML overrides the values below, flags override both; without flags, the bundled SegFormer learns shapes, offline.
Measured results: model_cards/segformer-segmentation.md
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
from hfkit.tasks import SemanticSegmentation


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, SemanticSegmentation, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, SemanticSegmentation, TransferArguments),
        argv=argv,
        baseline=["majority", "pixel-colours", "patch-probe"],
        checkpoint="sample-segformer",
        output_dir="runs/segformer-segmentation",
        flip="none",  # photographs want "horizontal"; where left and right differ it is wrong
        strategy="full",
        learning_rate=2e-3,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=32,
        warmup_steps=0.1,  # of training
        weight_decay=0.05,
        **KEEP_BEST,  # evaluated at regular distances; the best weights on validation are kept
    )


def main() -> None:
    recipe, task, args = arguments()
    baselines = choose_baselines(recipe, args.seed)  # what one of them lacks shows now, not after training
    set_seed(args.seed)

    # Data: every image and mask looked at once, and what turns rows into batches for this checkpoint.
    rows = task.load(recipe.checkpoint)  # a wrong checkpoint shows before a large dataset is read
    codec = task.codec(recipe.checkpoint, rows.target)

    # Model: the pretrained backbone and decoder under a new layer with one logit per class and pixel.
    model = codec.model(pretrained=args.pretrained, blocks=args.blocks)

    # Training: the strategy says which blocks learn when, and how fast; the best weights on validation are kept.
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.save_model()

    # Report: every contender on the same test rows, by the same judge, and the pictures as training saw them.
    report = trainer.report(recipe)
    report.judge(*baselines)
    trainer.publish(report)


if __name__ == "__main__":
    run(main)
