"""The plan as a table: which stage trains what, from when, at which rates. Printed before the first step."""

import math
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table
from torch import nn
from transformers import TrainerCallback

from hfkit.arguments.adapters import describe_parts
from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError
from hfkit.model.groups import layerwise_parameter_groups
from hfkit.model.surgery import parse_depth_range, reinitialise, require_blocks, train_only
from hfkit.model.unfreezing import FreezePlan, Unfreezing, make_plan
from hfkit.training.adapting import adapt_model
from hfkit.training.extension import to_words

WIDEST = 1000  # columns
EMBEDDINGS = 0  # their depth
FITTED = 0  # the stage in which the head is fitted, before the first step


def reshape_model(model: nn.Module, args: TransferArguments, *, draw: bool = True) -> nn.Module:
    """The model that is trained: with the top blocks drawn anew, adapters in place, and some blocks frozen for good.

    Args:
        draw: False leaves the values of weights alone, of a model that has none (torch's meta device).

    Raises:
        UserError: the model has fewer blocks than the arguments name, or no adapter to train on.
    """
    blocks = tuple(args.blocks)
    if draw and args.reinit_blocks:
        reinitialise(model, args.reinit_blocks, blocks)
    else:
        require_blocks(model, args.reinit_blocks, blocks)
    if args.adapted:
        model = adapt_model(model, args, draw=draw)
    if args.train_blocks:
        train_only(model, parse_depth_range(args.train_blocks), blocks)
    return model


def plan_groups(model: nn.Module, unfreezing: Unfreezing, args: TransferArguments) -> list[dict]:
    """The optimizer's groups as the arguments want them (see `layerwise_parameter_groups`)."""
    return layerwise_parameter_groups(
        model,
        unfreezing.depths,
        learning_rate=args.learning_rate,
        layer_decay=args.layer_decay,
        head_learning_rate=args.head_learning_rate,
        weight_decay=args.weight_decay,
    )


def plan_stages(
    model: nn.Module,
    unfreezing: Unfreezing,
    args: TransferArguments,
    total_steps: int,
    epoch_steps: int,
    *,
    fitted: bool = False,
) -> FreezePlan:
    """The stages as the arguments want them (see `make_plan`); where validation decides, those that may come.

    Where each is decided on validation, it ends with an evaluation.

    Args:
        fitted: training starts from a fitted head, which needs no steps of its own.

    Raises:
        UserError: a stage would train nothing, or the plan does not fit the model.
    """
    head, tied = unfreezing.depths.head, is_tied(unfreezing)
    # A head that is tied to the embeddings cannot learn by itself: blocks that thaw in turns then begin at the top.
    from_the_top = tied and args.unfreeze_stages > 1 and not args.decided
    frozen = args.freeze_embeddings and not tied and are_only_read(model, unfreezing)
    shares = {
        "head_only": 0.0 if fitted or from_the_top else args.head_only,
        "unfreeze_stages": args.unfreeze_stages,
        "unfreeze_until": args.unfreeze_until,
        "bottom": EMBEDDINGS + 1 if frozen else EMBEDDINGS,
    }
    if not args.decided:
        plan = make_plan(head, total_steps, **shares)
        if args.train_blocks:
            plan = plan.restricted_to(*parse_depth_range(args.train_blocks), head)
        refuse_idle(model, unfreezing, plan, args)
        return plan
    every = evaluated_every(args, total_steps, epoch_steps)
    periods = total_steps // every
    if not fitted and not args.head_only and periods > 2:
        shares["head_only"] = 1 / periods
    shares["unfreeze_stages"] = min(args.unfreeze_stages, head)
    wanted = make_plan(head, total_steps, **shares)
    starts = [min(round(start / every), max(0, periods - 1)) * every for start in wanted.starts]
    stages = dict(zip(starts, wanted.lowest, strict=True))
    plan = FreezePlan(tuple(stages), tuple(stages.values()))
    refuse_idle(model, unfreezing, plan, args)
    return plan


def is_tied(unfreezing: Unfreezing) -> bool:
    """Whether the head has no weights of its own."""
    return max(unfreezing.depths.parameters.values()) < unfreezing.depths.head


def are_only_read(model: nn.Module, unfreezing: Unfreezing) -> bool:
    """Whether what stands before the blocks is tables of embeddings, and no layer writes with them.

    A stem of convolutions is no table: it has few parameters, and pictures unlike those of the checkpoint want another.
    """
    depths, last = unfreezing.depths, model.get_output_embeddings()
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    below = [p for name, p in model.named_parameters() if depths.parameters[name] == EMBEDDINGS]
    share = sum(p.numel() for p in below if id(p) in tables) / max(1, sum(p.numel() for p in below))
    return depths.head > 1 and share > 0.5 and (last is None or id(last.weight) not in tables)


def refuse_idle(model: nn.Module, unfreezing: Unfreezing, plan: FreezePlan, args: TransferArguments) -> None:
    """Refuse a plan with a stage in which only the head would learn, of a model whose head has no weights of its own.

    Raises:
        UserError: naming the strategy.
    """
    if max(plan.lowest) > max(unfreezing.depths.parameters.values()):
        raise UserError(
            f"strategy '{args.strategy}'",
            f"the head of {type(model).__name__} shares its weights with the embeddings, so nothing would learn",
            "Use --strategy full or lora",
        )


def evaluated_every(args: TransferArguments, total_steps: int, epoch_steps: int) -> int:
    """Optimizer steps from one evaluation to the next."""
    if str(args.eval_strategy.value) != "steps":
        return epoch_steps
    every = args.eval_steps or args.logging_steps
    return math.ceil(every * total_steps) if every < 1 else int(every)


def closing_layer(model: nn.Module, unfreezing: Unfreezing) -> nn.Linear | None:
    """The linear layer of the head that may make the logits; None where several or none could."""
    found = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and unfreezing.depths.modules[name] == unfreezing.depths.head
        and module.out_features == model.config.num_labels
        and not any(f"{name}.{own}" in unfreezing.always_frozen for own, _ in module.named_parameters())
    ]
    return found[0] if len(found) == 1 else None


def find_obstacle(model: nn.Module, unfreezing: Unfreezing, args: TransferArguments) -> str | None:
    """Why the head cannot be fitted before the first step, as far as model and flags tell; None if nothing is known."""
    if args.fit_head == "no":
        return "not asked for"
    if not args.pretrained or args.reinit_blocks:
        return "blocks below it are drawn anew"
    if closing_layer(model, unfreezing) is None:
        return "no single layer of it makes the logits"
    return None


def plan_title(args: TransferArguments, plan: FreezePlan, obstacle: str | None = None) -> str:
    """The strategy, and what is done to the blocks beside it.

    Args:
        plan: the stages of the run.
        obstacle: to the fit of the head, None where it is fitted.
    """
    own = ""
    if args.checkpoint_adapter == "train":
        own = ", the adapter of the checkpoint trained on"
    elif args.adapted and (args.strategy, args.adapter) != ("lora", "lora"):
        own = f", {describe_parts(vars(args))}"
    anew = f", the top {args.reinit_blocks} blocks from random weights" if args.reinit_blocks else ""
    frozen = ""
    if args.train_blocks:
        frozen = f", of the blocks only depths {args.train_blocks}"
    elif args.freeze_embeddings and plan.lowest[-1] == EMBEDDINGS + 1:
        frozen = ", the embeddings frozen"
    coming = ""
    if args.decided:
        coming = ", first the head by itself, then what may come, each stage decided on validation"
    steps = f", the head not fitted in closed form ({obstacle})" if obstacle is not None and args.starts_fitted else ""
    return f"{args.strategy}{own}{coming}{anew}{frozen}{steps}"


def spans_of(depths: list[int]) -> list[tuple[int, int]]:
    """The first and the last of each run of depths without a gap."""
    begins = [depth for depth in depths if depth - 1 not in depths]
    ends = [depth for depth in depths if depth + 1 not in depths]
    return list(zip(begins, ends, strict=True))


def plan_rows(
    model: nn.Module,
    unfreezing: Unfreezing,
    groups: list[dict],
    *,
    total_steps: int,
    epochs: float,
    first_step: int = 0,
) -> list[dict]:
    """One plain dict per stage.

    Args:
        unfreezing: with its plan set.
        groups: those of `plan_groups`, with the peak rates.
        epochs: length of the whole training.
        first_step: where the plan takes effect, in a run that was extended.
    """
    plan, names = unfreezing.plan, unfreezing.depths.names
    rates = {group["depth"]: group["lr"] for group in groups}
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    rows = []
    for i, (start, lowest) in enumerate(zip(plan.starts, plan.lowest, strict=True)):
        learning = [name for name in sizes if unfreezing.learns(name, lowest)]
        depths = sorted({unfreezing.depths.parameters[name] for name in learning})
        spans = spans_of(depths)
        rows.append(
            {
                "stage": i + 1,
                "from_step": max(start, first_step),
                "until_step": plan.starts[i + 1] if i + 1 < len(plan.starts) else total_steps,
                "from_epoch": epochs * max(start, first_step) / total_steps,
                "depths": ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in spans),
                "names": ", ".join(f"{names[a]} … {names[b]}" if a < b else names[a] for a, b in spans),
                "trainable": sum(sizes[name] for name in learning),
                "share": sum(sizes[name] for name in learning) / sum(sizes.values()),
                "lowest_learning_rate": min(rates[depth] for depth in depths),
                "highest_learning_rate": max(rates[depth] for depth in depths),
            }
        )
    return rows


def fitted_row(model: nn.Module, unfreezing: Unfreezing) -> dict:
    """The row of the plan before the first: the layer that makes the logits, fitted in closed form."""
    depths, linear = unfreezing.depths, closing_layer(model, unfreezing)
    size = sum(parameter.numel() for parameter in linear.parameters())
    return {
        "stage": FITTED,
        "from_step": 0,
        "until_step": 0,
        "from_epoch": 0.0,
        "depths": str(depths.head),
        "names": f"{depths.names[-1]}, fitted in closed form",
        "trainable": size,
        "share": size / sum(parameter.numel() for parameter in model.parameters()),
        "lowest_learning_rate": 0.0,
        "highest_learning_rate": 0.0,
    }


def plan_table(rows: list[dict], title: str) -> Table:
    """The plan for a terminal."""
    table = Table(title=title, title_justify="left")
    for column in ("stage", "from step", "epoch", "depths that learn", "parameters", "peak rates"):
        table.add_column(column, justify="left" if column == "depths that learn" else "right", no_wrap=True)
    for row in rows:
        low, high = (f"{row[f'{end}_learning_rate']:.1e}" for end in ("lowest", "highest"))
        if row["stage"] == FITTED:
            low = high = "–"
        table.add_row(
            str(row["stage"]),
            str(row["from_step"]),
            f"{row['from_epoch']:.2f}",
            f"{row['depths']}: {row['names']}",
            f"{row['trainable']:,} ({row['share']:.1%})",
            low if low == high else f"{low} … {high}",
        )
    return table


def print_plan(rows: list[dict], title: str, origin: str = "") -> None:
    """Print the plan, and how the blocks of the model were found."""
    # A pipe has no width, and a narrow console would cut the numbers: the table is as wide as its cells.
    Console(width=WIDEST).print(plan_table(rows, f"Plan: {title}"))
    if origin:
        print(f"{origin}.")


class Planned(Protocol):
    """The attributes of a trainer that are used here."""

    unfreezing: Unfreezing
    extensions: list[dict]
    fitting: Any

    def plan_rows(self) -> list[dict]: ...


class AnnouncePlan(TrainerCallback):
    """Prints the trainer's plan before the first step."""

    def __init__(self, trainer: Planned) -> None:
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            trainer = self.trainer
            title = plan_title(args, trainer.unfreezing.plan, trainer.fitting.obstacle) + to_words(trainer.extensions)
            print_plan(trainer.plan_rows(), title, trainer.unfreezing.depths.origin)
