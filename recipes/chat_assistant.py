"""Fine-tune an assistant on conversations of yours, and judge it beside a counter of bytes on the same test rows.

    accelerate launch recipes/chat_assistant.py
    python recipes/chat_assistant.py --checkpoint smollm2 --dataset conversations.jsonl --output_dir out
    hfkit chat out

Rows are lists of messages (OpenAI's or ShareGPT's), prompts with completions, or Alpaca's columns. The checkpoint's
chat template writes them, only the assistant's tokens are learnt, and by LoRA, so that little of what the checkpoint
knows is lost. The headline is bits per byte of the answers: lower is better.

A --config YAML overrides the values below, flags override both; without flags it trains a bundled decoder of 0.5 M
parameters on bundled synthetic conversations, which shows the steps and no skill.
Measured results: model_cards/chat-assistant.md
"""

from transformers import set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse, run
from hfkit.baselines import choose_baselines
from hfkit.tasks import Chat


def arguments(argv: list[str] | None = None) -> tuple[RecipeArguments, Chat, TransferArguments]:
    # Arguments: what to start from, what to learn, and how; `hfkit compare` asks for them too.
    return parse(
        (RecipeArguments, Chat, TransferArguments),
        argv=argv,
        baseline=["untouched", "kneser-ney"],
        output_dir="runs/chat-assistant",
        strategy="lora",
        learning_rate=2e-3,
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
