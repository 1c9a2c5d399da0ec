"""Fine-tune a BERT encoder to choose among the options of a question, beside baselines on the same test rows.

    accelerate launch recipes/bert_multiple_choice.py
    python recipes/bert_multiple_choice.py --dataset path/to/folder --output_dir out
    python recipes/bert_multiple_choice.py --dataset swag.csv --options_columns ending0 ending1 ending2 ending3

Every value below is a default; a --config YAML overrides it, and the command line overrides both. Without flags it
trains the bundled encoder on bundled synthetic questions, without a network. Rows may have unlike numbers of options,
in a list or in columns.
Measured results: model_cards/bert-multiple-choice.md
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
from hfkit.tasks import MultipleChoice


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, MultipleChoice, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, MultipleChoice, TransferArguments),
        argv=argv,
        baseline=["majority-place", "longest-option", "likest-option"],
        output_dir="runs/bert-multiple-choice",
        strategy="gradual",
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

    # Model: the pretrained encoder under a new head with one logit for each option.
    model = codec.model(pretrained=args.pretrained, blocks=args.blocks)

    # Training: the strategy says which blocks learn when, and how fast; the best weights on validation are kept.
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.save_model()

    # Report: every contender on the same test rows, by the same judge.
    report = trainer.report(recipe)
    report.judge(*baselines)
    trainer.publish(report)


if __name__ == "__main__":
    run(main)
