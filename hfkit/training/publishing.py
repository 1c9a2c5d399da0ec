"""The results that leave a run: the saved model, its report and card, and with --push_to_hub all of it on the Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from datasets import Dataset
from torch import nn
from transformers import TrainerCallback

from hfkit.arguments.adapters import KINDS
from hfkit.arguments.recipe import RecipeArguments
from hfkit.arguments.training import TransferArguments
from hfkit.contract.abilities import Decision, Likely, Pictured
from hfkit.contract.codec import Codec
from hfkit.contract.task import Loaded, Task
from hfkit.errors import Failure, UserError
from hfkit.model.adapters import merge_adapters
from hfkit.model.quantising import merge_into_floats
from hfkit.model.virtual_tokens import save_virtual_tokens
from hfkit.runtime.redaction import spell_out_controls
from hfkit.training.averages.callback import describe_averages
from hfkit.training.console import log_contenders
from hfkit.training.evaluating import Evaluated

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

    from hfkit.report.report import Report

MOST_PICTURES = 16  # of augmented training rows in a report


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    task: Task
    codec: Codec
    rows: Loaded
    encoded: Mapping[str, Dataset]
    training_collator: Any
    decision: Decision | None
    untuned: list | None
    model: nn.Module
    evaluated: Evaluated | None
    averages: Any
    is_fsdp_enabled: bool
    trackers: list[TrainerCallback]
    hub_model_id: str | None

    def facts(self) -> dict[str, Any]: ...
    def outputs(self, split: str) -> dict[str, np.ndarray]: ...
    def create_model_card(self) -> None: ...
    def push_to_hub(self) -> Any: ...
    def is_world_process_zero(self) -> bool: ...


def make_report(run: Run, recipe: RecipeArguments) -> "Report":
    """The report of a run so far (see `TransferTrainer.report`)."""
    from hfkit.report.explained import explain_mistakes
    from hfkit.report.report import Report

    outputs = run.outputs("test")
    predictions = run.evaluated.predictions
    report = Report(
        run.task,
        run.rows,
        encoded_facts={split: run.codec.facts(rows) for split, rows in run.encoded.items()},
        settings={**vars(recipe), **vars(run.task), **run.args.to_dict()},
        active=run.is_world_process_zero(),
    )
    facts = run.facts()
    report.add_training(**facts)
    if isinstance(run.codec, Pictured):
        report.show(run.codec.pictures(run.encoded["train"], run.training_collator, MOST_PICTURES))
    headline = run.task.judge.headline
    changes = describe_averages(run.args, facts["log_history"], headline.key)
    if run.decision is not None:
        before, after = headline.sign * run.decision.before, headline.sign * run.decision.after
        changes.append(f"validation {before:.3f} before, {after:.3f} after tuning")
    report.add(f"fine-tuned ({run.args.strategy})", predictions, cost=facts["cost"], description="; ".join(changes))
    if report.active and not run.is_fsdp_enabled:  # no process has the whole of a divided model
        likely = run.codec.likelihoods(outputs, run.encoded["test"]) if isinstance(run.codec, Likely) else None
        with run.averages.in_place():  # as they answered
            report.explain(explain_mistakes(run.task, run.codec, run.model, run.rows["test"], predictions, likely))
    if run.untuned is not None:
        report.add("the same, decision not tuned", run.untuned, cost=facts["cost"])
    return report


def publish(run: Run, report: "Report") -> None:
    """Write report and card, print the scores, and push it all if asked to (see `TransferTrainer.publish`)."""
    page = report.save(run.args.output_dir)
    if run.rows.draw and run.rows.draw.record:
        run.rows.draw.record.save(Path(run.args.output_dir))
    run.create_model_card()
    log_contenders(run, run.trackers, report.contenders, run.task.judge.headline.key)
    print_report(report, page)
    if run.args.push_to_hub:
        try:
            print(f"Pushed: {run.push_to_hub().repo_url}")
        except (UserError, Failure) as error:
            raise retry_later(run.args, run.hub_model_id, error) from error


def push_folder(
    args: TransferArguments, name: str, message: str, *, private: bool | None, revision: str | None
) -> "CommitInfo":
    """Push an output directory under a name (see `hfkit.hub.push`); what is not given is taken from the arguments."""
    from hfkit.hub.push import push

    return push(
        Path(args.output_dir),
        name,
        private=args.hub_private_repo if private is None else private,
        revision=revision or args.hub_revision,
        message=message,
    ).commit


def print_report(report: "Report", page: Path) -> None:
    """Show the table of contenders, and where the page is."""
    from rich.console import Console

    Console().print(report.table())
    print(spell_out_controls(f"Report: {page}"))


def check_hub_name(args: TransferArguments) -> str:
    """The full name that a run will be pushed to. Nothing is created before there is something to push.

    Raises:
        UserError: nothing could be pushed from here: no network, no token, no such name.
    """
    from hfkit.hub.failures import explain_errors
    from hfkit.hub.push import full_name

    asked = args.hub_model_id or Path(args.output_dir).absolute().name
    with explain_errors(asked, "the same command again"):
        return full_name(asked)


def retry_later(args: TransferArguments, name: str, error: UserError | Failure) -> Failure:
    """The failure of a push after a run that is complete: it names the command that pushes it later."""
    from hfkit.hub.push import Target

    folder = Path(args.output_dir)
    again = Target(name, args.hub_private_repo, args.hub_revision).command(folder)
    fix = str(error) if again in str(error) else f"{error} Then run {again}"
    return Failure(f"The run is complete in '{folder}', but it was not pushed", fix)


def save_adapted(model: nn.Module, processor: Any, folder: Path, args: TransferArguments) -> None:
    """Save a plain model with its adapters merged in, and the adapters themselves in `adapter/`.

    No weights can hold virtual tokens: these are saved as they are, for their base.
    """
    if KINDS[args.adapter].merges:
        model.save_pretrained(folder / "adapter")
        (folder / "adapter" / "README.md").unlink()  # peft's form to fill in; the card comes with the report
        merged = merge_into_floats(model, folder / "adapter") if args.quantize else merge_adapters(model)
        merged.save_pretrained(folder)
    else:
        save_virtual_tokens(model, folder)
    processor.save_pretrained(folder)


def remove_pickle(folder: Path) -> None:
    """Delete `training_args.bin`: nothing here reads it, and the Hub calls pickles unsafe."""
    (folder / "training_args.bin").unlink()
