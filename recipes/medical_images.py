"""Fine-tune a model of pictures to find diseases in scans, and judge it beside baselines on the same patients.

    accelerate launch recipes/medical_images.py
    python recipes/medical_images.py --checkpoint microsoft/resnet-50 --dataset my/chexpert --problem multi-label

A dataset is a table that names files, a folder per class, or one of the Hub; files are DICOM, NIfTI or pictures. A
--config YAML overrides the values below, flags override both; without flags, the bundled ResNet learns small X-rays.
Measured results: model_cards/medical-images.md
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
from hfkit.tasks import MedicalImages


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, MedicalImages, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, MedicalImages, TransferArguments),
        argv=argv,
        baseline=["majority", "pixels", "hog", "linear-probe"],
        checkpoint="sample-resnet",
        output_dir="runs/medical-images",
        flip="none",  # left and right of a body are not the same
        strategy="full",
        fit_head="no",  # few validation rows may take a fitted head for the best, by luck
        learning_rate=3e-4,
        head_learning_rate=1e-3,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=64,
        warmup_steps=0.1,  # of training
        weight_decay=0.05,
        **KEEP_BEST,  # evaluated at regular distances; the best weights on validation are kept
    )


def main() -> None:
    recipe, task, args = arguments()
    baselines = choose_baselines(recipe, args.seed)  # what one of them lacks shows now, not after training
    set_seed(args.seed)

    # Data: every picture looked at once, every patient in one split, and what turns rows into batches.
    rows = task.load(recipe.checkpoint)  # a wrong checkpoint shows before a large dataset is read
    codec = task.codec(recipe.checkpoint, rows.target)

    # Model: the pretrained backbone under a new head with one logit per finding.
    model = codec.model(pretrained=args.pretrained, blocks=args.blocks)

    # Training: all of it learns, lower blocks more slowly; the best weights on validation are kept.
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.tune_decision()  # of several findings a picture: each gets a threshold of its own
    trainer.save_model()

    # Report: every contender on the same patients, by the same judge, and the pictures as training saw them.
    report = trainer.report(recipe)
    report.judge(*baselines)
    trainer.publish(report)


if __name__ == "__main__":
    run(main)
