"""Trackers that cannot start are refused while flags are read: the stock trainer notices after data and model."""

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from hfkit.arguments.parse import nearest_word
from hfkit.errors import UserError, one_line

# transformers' own words: "Run `pip install dvclive`.", "requires tensorboard to be installed"
COMMAND = re.compile(r"pip install ([^`'\"\s]+)")
PACKAGE = re.compile(r"requires [`']?([\w.-]+)[`']? to be installed")

_accepts_missing = ContextVar("accepts_missing", default=False)


class TrackerFault(NamedTuple):
    """Why a run cannot report to a tracker."""

    rule: str
    fix: str


def require_trackers(names: Sequence[Any]) -> None:
    """Refuse an unknown tracker, or one that cannot start: its package is missing, or a setting.

    Raises:
        UserError: naming it, with the command that installs it.
    """
    for name in names if not _accepts_missing.get() else ():
        if fault := find_tracker_fault(name):
            raise UserError(f"report_to={name}", fault.rule, f"{fault.fix}, or leave --report_to out")


@contextmanager
def accept_missing_trackers() -> Iterator[None]:
    """Within it flags may name a tracker that cannot start, so that the doctor can say so among its findings."""
    token = _accepts_missing.set(True)
    try:
        yield
    finally:
        _accepts_missing.reset(token)


def find_tracker_fault(name: str) -> TrackerFault | None:
    """Why a run cannot report to this tracker; None if it can.

    transformers is asked, by making the callback that the trainer would make: its lists of what is available leave some
    out, and say nothing of the settings that others need.
    """
    # Imported here: it is slow, and most runs report to nothing.
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    if name not in INTEGRATION_TO_CALLBACK:
        known = sorted(INTEGRATION_TO_CALLBACK)
        return TrackerFault(f"it is one of {', '.join(known)}", f"Use {nearest_word(name, known)}")
    with _ignore_unfinished():
        reason = _start(INTEGRATION_TO_CALLBACK[name])
    if reason is None:
        return None
    if package := COMMAND.search(reason) or PACKAGE.search(reason):
        return TrackerFault("its package is not installed", f"Run: pip install {shlex.quote(package[1])}")
    return TrackerFault(f"it cannot start ({reason})", "Mend that")


def _start(kind: type) -> str | None:
    """The complaint of a tracker's constructor; None if it has none."""
    try:
        kind()
    except Exception as error:  # whatever the package of somebody else raises while it is imported
        return one_line(error)
    return None


@contextmanager
def _ignore_unfinished() -> Iterator[None]:
    """Keep Python from printing that some of the callbacks cannot be deleted if their constructor failed."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = hook
