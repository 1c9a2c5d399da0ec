"""Fine-tune a GPT-2 decoder to tell good reviews from bad, and judge it beside baselines on the same test rows.

    accelerate launch recipes/gpt2_classification.py
    python recipes/gpt2_classification.py --checkpoint openai-community/gpt2 --dataset path/to/folder --output_dir out

The story of bert_sentiment.py for a model that reads from left to right. What differs, the task sees to: GPT-2 pads
with its end token, and the head reads the last token that is no padding.

A --config YAML overrides the values below, flags override both; without flags it trains a bundled decoder of 0.5 M
parameters, which shows the steps and no skill, on the bundled synthetic corpus.
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
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

    # Model: the pretrained decoder under a new head with one logit per label.
    model = codec.model(pretrained=args.pretrained, blocks=args.blocks)

    # Training: the strategy says which blocks learn when, and how fast; the best weights on validation are kept.
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.tune_decision()  # of several labels a row: each gets a threshold of its own
    trainer.save_model()

    # Report: every contender on the same test rows, by the same judge.
    report = trainer.report(recipe)
    report.judge(*baselines)
    trainer.publish(report)


if __name__ == "__main__":
    run(main)
