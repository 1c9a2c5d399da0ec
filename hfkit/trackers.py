"""Whether the trackers that `--report_to` names are there, asked before any data is read."""

from hfkit.errors import UserError

KNOWN = ("tensorboard", "trackio", "wandb")  # others are the stock trainer's affair


def require_trackers(names: list[str]) -> None:
    """Refuse a tracker that nobody knows, or whose package is missing.

    Raises:
        UserError: naming it.
    """
    if not names:
        return
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise UserError(
                f"report_to={name}",
                f"it is one of {', '.join(KNOWN)}, none, or another tracker of transformers",
                "Use one of them",
            )
        if name in KNOWN and name not in get_available_reporting_integrations():
            raise UserError(
                f"report_to={name}", "its package is not installed", f"pip install {name}, or leave --report_to out"
            )
