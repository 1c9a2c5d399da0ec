"""What stands on the standard output: what a command is asked for, and nothing else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO


@contextmanager
def alone_on_stdout() -> Iterator[TextIO]:
    """Yields the standard output; whatever else prints meanwhile goes to the standard error, and no bars."""
    import datasets
    from transformers.utils import logging

    shown = not datasets.are_progress_bars_disabled(), logging.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    stdout = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield stdout
    finally:
        for bars, enable in zip(shown, (datasets.enable_progress_bars, logging.enable_progress_bar), strict=True):
            if bars:
                enable()
