"""The results that leave a run: the saved model, its report and card, and with --push_to_hub all of it on the Hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from hfkit.arguments.training import TransferArguments
from hfkit.errors import Failure, UserError
from hfkit.model.adapters import merge_adapters

if TYPE_CHECKING:
    from hfkit.report.report import Report


def print_report(report: "Report", page: Path) -> None:
    """Show the table of contenders, and where the page is."""
    from rich.console import Console

    Console().print(report.table())
    print(f"Report: {page}")


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


def save_merged(model: nn.Module, processor: Any, folder: Path) -> None:
    """Save a plain model with its adapters merged in, and the adapters themselves in `adapter/`."""
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink()  # peft's form to fill in; the card comes with the report
    merge_adapters(model).save_pretrained(folder)
    processor.save_pretrained(folder)


def remove_pickle(folder: Path) -> None:
    """Delete `training_args.bin`: nothing here reads it, and the Hub calls pickles unsafe."""
    (folder / "training_args.bin").unlink()
