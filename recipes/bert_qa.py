"""Fine-tune a BERT encoder to find answers in passages, and judge it beside baselines on the same test rows.

    accelerate launch recipes/bert_qa.py
    python recipes/bert_qa.py --dataset train-v2.0.json --output_dir out
    python recipes/bert_qa.py --dataset path/to/folder --max_length 384 --stride 128 --answer_language de

Every value below is a default; a --config YAML overrides it, and the command line overrides both. Without flags it
trains the bundled encoder on bundled synthetic passages, without a network. Passages may be of any length: they are
read in windows, and the best answer over all of them is given.
Measured results: model_cards/bert-qa.md
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
from hfkit.tasks import QuestionAnswering


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, QuestionAnswering, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, QuestionAnswering, TransferArguments),
        argv=argv,
        baseline=["near-words", "likest-sentence"],
        output_dir="runs/bert-qa",
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

    # Data: checked rows, and what turns them into windows for this checkpoint.
    rows = task.load(recipe.checkpoint)  # a wrong checkpoint shows before a large dataset is read
    codec = task.codec(recipe.checkpoint, rows.target)

    # Model: the pretrained encoder under a new head with two logits a token, for the ends of an answer.
    model = codec.model(pretrained=args.pretrained, blocks=args.blocks)

    # Training: the strategy says which blocks learn when, and how fast; the best weights on validation are kept.
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.tune_decision()  # how far no answer must be ahead of the best one
    trainer.save_model()

    # Report: every contender on the same test rows, by the same judge.
    report = trainer.report(recipe)
    report.judge(*baselines)
    trainer.publish(report)


if __name__ == "__main__":
    run(main)
