"""Fine-tune a Mask2Former to find the pixels of every object, and judge it beside baselines on the same test rows.

    accelerate launch recipes/mask2former_instances.py
    python recipes/mask2former_instances.py --checkpoint facebook/mask2former-swin-tiny-coco-instance --dataset my/masks
    python recipes/mask2former_instances.py --dataset path/to/folder --class_name nucleus

A dataset is a folder of pictures beside COCO JSON or beside masks in which every object has a number, or tables with a
column of either. A --config YAML overrides the values below, flags override both; without flags, the bundled
Mask2Former learns generated shapes, offline.
Measured results: model_cards/mask2former-instances.md
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
from hfkit.tasks import InstanceSegmentation


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, InstanceSegmentation, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, InstanceSegmentation, TransferArguments),
        argv=argv,
        baseline=["mean-boxes"],
        checkpoint="sample-mask2former",
        output_dir="runs/mask2former-instances",
        flip="horizontal",  # text and road signs want "none"
        strategy="full",
        learning_rate=5e-4,  # large checkpoints want 1e-4
        per_device_train_batch_size=16,
        per_device_eval_batch_size=32,
        warmup_steps=0.1,  # of training
        weight_decay=1e-4,
        **KEEP_BEST,  # evaluated at regular distances; the best weights on validation are kept
    )


def main() -> None:
    recipe, task, args = arguments()
    baselines = choose_baselines(recipe, args.seed)  # what one of them lacks shows now, not after training
    set_seed(args.seed)

    # Data: every picture and mask looked at once, and what turns rows into batches for this checkpoint.
    rows = task.load(recipe.checkpoint)  # a wrong checkpoint shows before a large dataset is read
    codec = task.codec(recipe.checkpoint, rows.target)

    # Model: the pretrained backbone and decoders, fresh where they tell classes apart.
    model = codec.model(pretrained=args.pretrained, blocks=args.blocks)

    # Training: queries are matched to gold masks; the best weights on validation are kept.
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.tune_decision()  # how sure of an object it has to be
    trainer.save_model()

    # Report: every contender on the same test rows, by the same judge, and the pictures as training saw them.
    report = trainer.report(recipe)
    report.judge(*baselines)
    trainer.publish(report)


if __name__ == "__main__":
    run(main)
