"""Fine-tune a decoder on documents of yours, and judge it beside a counter of bytes on the same test documents.

    accelerate launch recipes/gpt2_language_model.py
    python recipes/gpt2_language_model.py --checkpoint openai-community/gpt2 --dataset book.txt --output_dir out

Documents share rows of training, without seeing one another, so that hardly any of it is padding; long ones are cut
into windows, and evaluated with the context of the window before. The headline is bits per byte: lower is better, and
models with other tokens can be compared by it.

A --config YAML overrides the values below, flags override both; without flags it trains a bundled decoder of 0.5 M
parameters on the bundled synthetic documents, without a network.
Measured results: model_cards/gpt2-language-model.md
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
from hfkit.tasks import LanguageModelling


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, LanguageModelling, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, LanguageModelling, TransferArguments),
        argv=argv,
        baseline=["untouched", "kneser-ney"],
        output_dir="runs/gpt2-language-model",
        strategy="gradual",
        learning_rate=1e-3,  # all of it is trained already, and the bundled decoder is small
        per_device_train_batch_size=8,
        per_device_eval_batch_size=16,
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

    # Model: the pretrained decoder as it is; nothing about its head is new.
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
