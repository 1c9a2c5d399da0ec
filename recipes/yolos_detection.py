"""Fine-tune a YOLOS to find objects, and judge it beside baselines on the same test rows.

    python recipes/yolos_detection.py --checkpoint hustvl/yolos-tiny --dataset my/boxes
    accelerate launch recipes/yolos_detection.py --dataset path/to/folder --box_format xywh

A vision transformer with tokens for detection, and nothing else: the values below are those it was trained with.
A dataset is a folder of pictures beside COCO JSON, Pascal VOC XML or YOLO texts, an export of Label Studio, or tables
with a column of objects. A --config YAML overrides the values below, flags override both; without flags, the bundled
detector, which is none, stands in for a checkpoint and learns to find generated shapes, offline.
Measured results: model_cards/yolos-detection.md
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
from hfkit.tasks import ObjectDetection


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, ObjectDetection, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, ObjectDetection, TransferArguments),
        argv=argv,
        baseline=["mean-boxes"],
        checkpoint="sample-detector",
        output_dir="runs/yolos-detection",
        flip="horizontal",  # text and road signs want "none"
        strategy="full",
        learning_rate=1e-4,
        head_learning_rate=5e-4,  # classes and boxes are read off by small networks, fresh where classes are new
        per_device_train_batch_size=8,
        per_device_eval_batch_size=16,
        warmup_steps=0.1,  # of training
        weight_decay=1e-4,
        **KEEP_BEST,  # evaluated at regular distances; the best weights on validation are kept
    )


def main() -> None:
    recipe, task, args = arguments()
    baselines = choose_baselines(recipe, args.seed)  # what one of them lacks shows now, not after training
    set_seed(args.seed)

    # Data: every picture looked at once, and what turns rows into batches for this checkpoint.
    rows = task.load(recipe.checkpoint)  # a wrong checkpoint shows before a large dataset is read
    codec = task.codec(recipe.checkpoint, rows.target)

    # Model: the pretrained detector, fresh where it tells classes apart.
    model = codec.model(pretrained=args.pretrained, blocks=args.blocks)

    # Training: queries are matched to gold boxes; the best weights on validation are kept.
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.tune_decision()  # how sure a box has to be
    trainer.save_model()

    # Report: every contender on the same test rows, by the same judge, and the pictures as training saw them.
    report = trainer.report(recipe)
    report.judge(*baselines)
    trainer.publish(report)


if __name__ == "__main__":
    run(main)
