"""Fine-tune a T5 to translate texts, and judge it beside a copy of the same test rows.

    accelerate launch recipes/t5_translation.py
    python recipes/t5_translation.py --checkpoint Helsinki-NLP/opus-mt-en-de --dataset pairs.tsv

Every value below is a default; a --config YAML overrides it, and the command line overrides both. Without flags it
trains a tiny T5 of this project on sentences in English and in a made-up language, without a network. Any model of
AutoModelForSeq2SeqLM fits: T5, BART, Pegasus, Marian, mBART, NLLB.
Measured results: model_cards/t5-translation.md
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
from hfkit.tasks import Translation


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, Translation, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, Translation, TransferArguments),
        argv=argv,
        baseline=["untouched", "copy"],
        output_dir="runs/t5-translation",
        strategy="full",
        learning_rate=1e-3,  # T5's own rate of fine-tuning; larger checkpoints of other families want 1e-5 to 1e-4
        per_device_train_batch_size=16,
        per_device_eval_batch_size=32,
        warmup_steps=0.1,  # of training
        weight_decay=0.01,
        **KEEP_BEST,  # evaluated at regular distances; the best weights on validation are kept
    )


def main() -> None:
    recipe, task, args = arguments()
    baselines = choose_baselines(recipe, args.seed)  # what one of them lacks shows now, not after training
    set_seed(args.seed)

    # Data: checked rows, and what turns them into batches for this checkpoint.
    rows = task.load(recipe.checkpoint)  # a wrong checkpoint shows before a large dataset is read
    codec = task.codec(recipe.checkpoint, rows.target)

    # Model: the checkpoint as it is, with the way to write in its generation config. No head is new.
    model = codec.model(pretrained=args.pretrained, blocks=args.blocks)

    # Training: evaluations write as the finished model will, and BLEU on validation says which weights are kept.
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.save_model()

    # Report: every contender on the same test rows, by the same judge.
    report = trainer.report(recipe)
    report.judge(*baselines)
    trainer.publish(report)


if __name__ == "__main__":
    run(main)
