"""`hfkit plan`: which layers a recipe's flags would train, when, and at which rates."""

import math
from enum import StrEnum
from typing import Annotated

import typer

from hfkit.errors import ANEW, run


class TaskName(StrEnum):
    """The tasks that a plan can be made for, by the Hub's names."""

    ner = "token-classification"
    text = "text-classification"
    image = "image-classification"


def kind_of(name: TaskName) -> type:
    """The task of that name."""
    from hfkit.tasks import NER, ImageClassification, TextClassification

    return {task.name: task for task in (NER, TextClassification, ImageClassification)}[name]


def plan(
    context: typer.Context,
    task: Annotated[TaskName, typer.Option(help="what the new head is for")] = TaskName.ner,
    rows: int = typer.Option(1000, min=1, help="training rows, to turn shares of training into steps"),
    labels: int = typer.Option(9, min=1, help="labels of the new head"),
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document, for programs")] = False,
) -> None:
    """Print which layers a recipe's flags would train, when, and at which rates.

    Nothing is trained, and nothing downloaded but the checkpoint's config. Every flag of a recipe is accepted, and so
    is --config FILE.yaml; `python recipes/bert_ner.py --help` lists them. What a recipe sets in its own code is not
    known here: give its epochs and batch size, and the rows of its data.

    With --json: the strategy in words as `plan`; `assumed` with rows, labels, epochs, rows of a step and steps; and
    `stages`, the rows of the table, with the keys that training.plan has in report.json.

        hfkit plan --checkpoint sample --strategy gradual --unfreeze_stages 4 --rows 3394
        hfkit plan --checkpoint runs/bert-ner --strategy lora --lora_rank 4 --labels 5
        hfkit plan --task image-classification --checkpoint runs/vit-images --strategy full --rows 64 --json

    Exit codes: 0 printed; 2 the flags cannot be planned, such as a checkpoint that is not there.
    """
    run(lambda: _print_plan(context.args, task, rows, labels, as_json=as_json), ANEW)


def _print_plan(flags: list[str], name: TaskName, rows: int, labels: int, *, as_json: bool) -> None:
    import json

    import torch

    from hfkit.arguments.parse import parse
    from hfkit.arguments.recipe import RecipeArguments
    from hfkit.arguments.training import TransferArguments
    from hfkit.contract.task import read_config
    from hfkit.model.adapters import add_lora
    from hfkit.model.surgery import parse_depth_range, require_blocks, train_only
    from hfkit.model.unfreezing import Unfreezing
    from hfkit.training.plan import plan_rows, plan_title, planned_groups, planned_stages, print_plan
    from hfkit.training.refusals import refuse_surgery

    own_flags = ("--task", "--rows", "--labels", "--json")
    types = (RecipeArguments, kind_of(name), TransferArguments)
    recipe, task, args = parse(types, argv=flags, own_flags=own_flags)
    refuse_surgery(args)
    blocks = tuple(args.blocks)
    config = read_config(task.path(recipe.checkpoint), **task.head([str(label) for label in range(labels)]))
    with torch.device("meta"):
        model = task.auto_model.from_config(config, trust_remote_code=False)
        require_blocks(model, args.reinit_blocks, blocks)
        if args.lora_rank:
            model = add_lora(model, args.lora_rank, blocks)
        if args.train_blocks:
            train_only(model, parse_depth_range(args.train_blocks), blocks)
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
    if args.process_index:
        return
    if as_json:
        known = {"rows": rows, "labels": labels, "epochs": epochs, "step_rows": step_rows, "steps": steps}
        print(json.dumps({"plan": plan_title(args), "assumed": known, "stages": described}, indent=1, allow_nan=False))
        return
    print_plan(described, f"{plan_title(args)}, if training has {assumed}")
