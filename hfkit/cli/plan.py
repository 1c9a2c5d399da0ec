"""`hfkit plan`: which layers a recipe's flags would train, when, and at which rates."""

import math
from typing import Annotated

import typer

from hfkit.errors import UserError
from hfkit.runtime.commands import ANEW, run


def plan(
    context: typer.Context,
    task: Annotated[
        str | None, typer.Option(help="the task of the new head, by its key; default: the first of all")
    ] = None,
    rows: int = typer.Option(1000, min=1, help="training rows, to turn shares of training into steps"),
    labels: int = typer.Option(9, min=1, help="labels of the new head"),
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document, for programs")] = False,
) -> None:
    """Print which layers a recipe's flags would train, when, and at which rates.

    Nothing is trained, and nothing downloaded but the checkpoint's config. Every flag of a recipe is accepted, and so
    is --config FILE.yaml; `python recipes/bert_ner.py --help` lists them. What a recipe sets in its own code is not
    known here: give its epochs and batch size, and the rows of its data.

    With --json: the strategy in words as `plan`; `assumed` with rows, labels, epochs, rows of a step and steps;
    `stages`, the rows of the table, with the keys that training.plan has in report.json; and `blocks`, how the blocks
    of the model were found, empty for an architecture that is listed. Where a flag decides how the model reads its
    inputs, `inputs` says how.

        hfkit plan --checkpoint sample --strategy gradual --unfreeze_stages 4 --rows 3394
        hfkit plan --checkpoint runs/bert-ner --strategy lora --lora_rank 4 --labels 5
        hfkit plan --checkpoint runs/bert-ner --strategy full --rows 64 --json

    Exit codes: 0 printed; 2 the flags cannot be planned, such as a checkpoint that is not there.
    """
    run(lambda: _print_plan(context.args, task, rows, labels, as_json=as_json), ANEW)


def _print_plan(flags: list[str], name: str | None, rows: int, labels: int, *, as_json: bool) -> None:
    import json

    import torch

    from hfkit.arguments.parse import parse
    from hfkit.arguments.recipe import RecipeArguments
    from hfkit.arguments.training import TransferArguments
    from hfkit.inference.saved import find_task
    from hfkit.model.unfreezing import Unfreezing
    from hfkit.model.weights import read_config
    from hfkit.tasks import TASKS
    from hfkit.training.budget import count_epoch_steps, settle_length
    from hfkit.training.plan import (
        find_obstacle,
        fitted_row,
        plan_groups,
        plan_rows,
        plan_stages,
        plan_title,
        print_plan,
        reshape_model,
    )
    from hfkit.training.refusals import refuse_surgery

    own_flags = ("--task", "--rows", "--labels", "--json")
    kind = TASKS[0] if name is None else find_task(name)
    recipe, task, args = parse((RecipeArguments, kind, TransferArguments), argv=flags, own_flags=own_flags)
    refuse_surgery(args)
    if args.extend:
        raise UserError(
            "extend", "no run is looked at here", "Leave it out: the run prints the plan of its extension as it begins"
        )
    blocks = tuple(args.blocks)
    place = task.path(recipe.checkpoint)
    inputs = task.describe_inputs(read_config(place))
    config = read_config(place, **task.head_config(task.guess_target(labels)))
    with torch.device("meta"):
        model = task.auto_model.from_config(config, trust_remote_code=False)
        model = reshape_model(model, args, draw=False)
    step_rows = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    settle_length(args, rows)
    epoch_steps = count_epoch_steps(args, rows)
    steps = args.max_steps if args.max_steps > 0 else math.ceil(epoch_steps * args.num_train_epochs)
    unfreezing = Unfreezing(model, blocks)
    obstacle = find_obstacle(model, unfreezing, args)
    fitted = obstacle is None and args.starts_fitted
    unfreezing.plan = plan_stages(model, unfreezing, args, steps, epoch_steps, fitted=fitted)
    epochs = steps / epoch_steps
    assumed = (
        f"{rows} rows (--rows), {epochs:g} epochs (--num_train_epochs), {step_rows} rows a step"
        " (--per_device_train_batch_size)"
    )
    title = plan_title(args, unfreezing.plan, obstacle)
    groups = plan_groups(model, unfreezing, args)
    described = [fitted_row(model, unfreezing)] if obstacle is None else []
    described += plan_rows(model, unfreezing, groups, total_steps=steps, epochs=epochs)
    if args.process_index:
        return
    if as_json:
        known = {"rows": rows, "labels": labels, "epochs": epochs, "step_rows": step_rows, "steps": steps}
        document = {"plan": title, "assumed": known, "stages": described, "blocks": unfreezing.depths.origin}
        document |= {"inputs": inputs} if inputs else {}
        print(json.dumps(document, indent=1, allow_nan=False))
        return
    print_plan(described, f"{title}, if training has {assumed}", unfreezing.depths.origin)
    if inputs:
        print(inputs)
