"""The command line `hfkit …`. Heavy imports live inside the commands, so that `hfkit --help` answers at once."""

import math
import sys
from enum import StrEnum
from typing import Annotated

import typer


class TaskName(StrEnum):
    """The tasks that a plan can be made for, by the Hub's names."""

    ner = "token-classification"
    text = "text-classification"
    image = "image-classification"


app = typer.Typer(
    help="Transfer learning: see what a strategy would train, and which one is worth it.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def hfkit() -> None:
    """Transfer learning for a pretrained checkpoint and a modest dataset."""


@app.command(
    "plan", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["--help"]}
)
def plan_command(
    context: typer.Context,
    task: Annotated[TaskName, typer.Option(help="what the new head is for")] = TaskName.ner,
    rows: int = typer.Option(1000, min=1, help="training rows, to turn shares of training into steps"),
    labels: int = typer.Option(9, min=1, help="labels of the new head"),
) -> None:
    """Print which layers a recipe's flags would train, when, and at which rates. Nothing is trained or downloaded
    but the checkpoint's config.

    Every flag of a recipe is accepted, and so is --config FILE.yaml; `python recipes/bert_ner.py --help` lists them.
    What a recipe sets in its own code is not known here: give its epochs and batch size, and the rows of its data.

        hfkit plan --checkpoint sample --strategy gradual --unfreeze_stages 4 --rows 3394
    """
    from .errors import run

    run(lambda: _print_plan(context.args, task, rows, labels))


def _print_plan(flags: list[str], name: TaskName, rows: int, labels: int) -> None:
    import torch

    from .adapters import with_lora
    from .arguments import TransferArguments, parse
    from .plan import plan_rows, plan_title, planned_groups, planned_stages, print_plan
    from .recipe import RecipeArguments
    from .refusals import refuse_surgery
    from .surgery import depth_range, require_blocks, train_only
    from .tasks import NER, ImageClassification, TextClassification
    from .tasks.base import read_config
    from .unfreezing import Unfreezing

    kind = {task.name: task for task in (NER, TextClassification, ImageClassification)}[name]
    own_flags = ("--task", "--rows", "--labels")
    recipe, task, args = parse((RecipeArguments, kind, TransferArguments), argv=flags, own_flags=own_flags)
    refuse_surgery(args)
    blocks = tuple(args.blocks)
    config = read_config(task.path(recipe.checkpoint), **task.head([str(label) for label in range(labels)]))
    with torch.device("meta"):
        model = task.auto_model.from_config(config, trust_remote_code=False)
        require_blocks(model, args.reinit_blocks, blocks)
        if args.lora_rank:
            model = with_lora(model, args.lora_rank, blocks)
        if args.train_blocks:
            train_only(model, depth_range(args.train_blocks), blocks)
    step_rows = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    epoch_steps = math.ceil(rows / step_rows)
    steps = args.max_steps if args.max_steps > 0 else math.ceil(epoch_steps * args.num_train_epochs)
    unfreezing = Unfreezing(model, blocks)
    unfreezing.plan = planned_stages(model, unfreezing, args, steps, epoch_steps)
    epochs = steps / epoch_steps
    assumed = (
        f"{rows} rows (--rows), {epochs:g} epochs (--num_train_epochs), {step_rows} rows a step"
        " (--per_device_train_batch_size)"
    )
    groups = planned_groups(model, unfreezing, args)
    described = plan_rows(model, unfreezing, groups, total_steps=steps, epochs=epochs)
    print_plan(described, f"{plan_title(args)}, if training has {assumed}")


@app.command(
    "compare",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def compare_command(context: typer.Context) -> None:
    """Judge every way of reusing a checkpoint, and every baseline, on the same rows, and say which is worth its cost.

        hfkit compare --recipe recipes/bert_sentiment.py
        hfkit compare --recipe recipes/bert_ner.py --dataset my/entities --strategies gradual full --tune 0.3 1 3
        hfkit compare --recipe recipes/vit_images.py --seeds 0 1 2 3 4 --label_budgets 20 100 500 --jobs 2

    `hfkit compare --help` lists its flags; every flag of the recipe is accepted too. What has ended is never computed
    again: the same command goes on where it was stopped, and one with more seeds or strategies adds to it. Started by
    torchrun, `accelerate launch` or srun, on one machine or on several that share --compare_dir, every process works.
    """
    from .errors import run
    from .ledger.compare import compare

    run(lambda: compare(context.args))


if __name__ == "__main__":
    sys.exit(app())
