"""Bars on a terminal; in a log nothing, but for a line every ten minutes of one and the same work.

They are drawn on stderr by the first process of a launcher. There are none where stderr is no terminal (a notebook has
none either), with `--disable_tqdm true`, and with TQDM_DISABLE=1 in the environment, which silences every bar of the
libraries too. A bar within a bar stands below it, and goes when it ends.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any, TextIO, TypeVar

# Read when a program starts: a comparison takes its launcher's variables away.
FIRST = next((os.environ[name] for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK") if name in os.environ), "0") == "0"
OFTEN = 5  # times a second that bars are drawn
BRIEF = 1.0  # seconds: a bar that ended sooner leaves no line behind
HEARTBEAT = 600.0  # seconds between two lines in a log

Item = TypeVar("Item")


class _Screen:
    """What this process draws at the moment."""

    wanted = True
    live: Any = None  # the `rich.progress.Progress` that all bars share
    leaving: ExitStack  # undoes what belongs to it


def switch(on: bool) -> None:
    """Want bars or not, as `--disable_tqdm` says; those that are drawn already go on."""
    _Screen.wanted = on


def track(items: Iterable[Item], description: str | None, total: int | None = None) -> Iterator[Item]:
    """`items`, one by one, with a bar of how many have been taken; without a description they have none.

    Args:
        total: needed where the items have no length.
    """
    if description is None:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress(description, total) as advance:
        for item in items:
            yield item
            advance()


@contextmanager
def progress(
    description: str, total: int | None = None, *, done: int = 0, leave: bool = True
) -> Iterator["Callable[..., None]"]:
    """A bar for a count that is no loop.

    Yields:
        `advance(count=1, note=None, total=None)`: the note stands beside the bar; the total is another one from now on.

    Args:
        total: None where it is not known.
        done: what an earlier run has done of it.
        leave: whether a bar that is within no other one stays on the screen when it ends.
    """
    with alone():
        if not _shown():
            yield _Silent(description, total, done)
            return
        bar = _Bar(description, total, done)
        try:
            yield bar
        except BaseException:
            bar.end(leave=leave, whole=False)
            raise
        bar.end(leave=leave, whole=True)


@contextmanager
def alone(*, downloads: bool = False) -> Iterator[None]:
    """Within it datasets and transformers draw no bars: theirs would stand in logs too, and across ours.

    What huggingface_hub draws of its downloads and uploads stays: it keeps out of logs by itself.

    Args:
        downloads: a terminal is left to datasets, which tells how many bytes have come.
    """
    with ExitStack() as undo:
        if downloads and _shown():
            yield
            return
        if "datasets" in sys.modules:
            import datasets

            if datasets.is_progress_bar_enabled():
                datasets.disable_progress_bars()
                undo.callback(datasets.enable_progress_bars)
        if "transformers" in sys.modules:
            from transformers.utils.logging import set_tqdm_hook

            undo.callback(set_tqdm_hook, set_tqdm_hook(_undrawn))
        yield


@contextmanager
def alone_on_stdout() -> Iterator[TextIO]:
    """Yields the standard output for what was asked for; whatever else prints meanwhile goes to the standard error.

    No other library draws bars either: datasets and transformers are imported here, for `alone` to find them.
    """
    import datasets  # noqa: F401
    import transformers.utils.logging  # noqa: F401

    stdout = sys.stdout
    with alone(), redirect_stdout(sys.stderr):
        yield stdout


@contextmanager
def loading() -> Iterator[None]:
    """The same while weights are loaded, and without transformers' table of those that a checkpoint lacks.

    Whoever loads within it looks at what is missing, and says so in one line where it matters.
    """
    with alone():
        log = logging.getLogger("transformers.modeling_utils")
        log.addFilter(_no_load_report)
        try:
            yield
        finally:
            log.removeFilter(_no_load_report)


def _no_load_report(record: logging.LogRecord) -> bool:
    return "LOAD REPORT" not in record.getMessage()


def _undrawn(factory: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    return factory(*args, **{**kwargs, "disable": True})


def _shown() -> bool:
    """Whether a bar that begins now is drawn."""
    if _Screen.live is not None:
        return True
    if not (_Screen.wanted and FIRST and sys.stderr.isatty()) or os.environ.get("TQDM_DISABLE"):
        return False
    from rich.console import Console

    return Console(stderr=True).is_interactive


class _Silent:
    """The bar of a log: a line now and then, so that nobody takes a long run for a dead one."""

    def __init__(self, description: str, total: int | None, done: int) -> None:
        self.description, self.total, self.done = description, total, done
        self.began = self.told = time.monotonic()

    def __call__(self, count: int = 1, note: str | None = None, total: int | None = None) -> None:
        self.done, self.total = self.done + count, self.total if total is None else total
        now = time.monotonic()
        if now - self.told >= HEARTBEAT and FIRST and _Screen.wanted and not os.environ.get("TQDM_DISABLE"):
            self.told = now
            of = "" if self.total is None else f" of {self.total:,}"
            print(
                f"{self.description}: {self.done:,}{of} after {(now - self.began) / 60:.0f} min",
                file=sys.stderr,
                flush=True,
            )


class _Bar:
    """One line of the screen."""

    def __init__(self, description: str, total: int | None, done: int) -> None:
        self.outermost = _Screen.live is None
        if self.outermost:
            _begin()
        self.live, self.total, self.done = _Screen.live, total, done
        self.task = self.live.add_task(description, total=total, completed=done, count=self.count(), note="")

    def __call__(self, count: int = 1, note: str | None = None, total: int | None = None) -> None:
        self.done, self.total = self.done + count, self.total if total is None else total
        fields = {} if note is None else {"note": note}
        self.live.update(self.task, advance=count, total=self.total, count=self.count(), **fields)

    def count(self) -> str:
        if self.total is None:
            return f"{self.done:,}" if self.done else ""
        return f"{self.done:,}/{self.total:,}"

    def end(self, *, leave: bool, whole: bool) -> None:
        if whole and self.total is None:
            self.total = max(1, self.done)  # a full bar, and how long it took
            self.live.update(self.task, total=self.total, completed=self.total)
        self.live.stop_task(self.task)
        if not self.outermost or not leave or self.live.tasks[-1].elapsed < BRIEF:
            self.live.remove_task(self.task)
        if self.outermost:
            _end()


def _begin() -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    class Time(TimeRemainingColumn):
        """What is left; once it has ended, or where the total is not known, what it has taken."""

        def render(self, task: Task) -> Text:
            over = task.total is None or task.stop_time is not None
            return TimeElapsedColumn().render(task) if over else super().render(task)

    # Where the terminal is narrow the bar gives way, not the numbers.
    def text(field: str, **kwargs: Any) -> TextColumn:
        return TextColumn(f"{{task.{field}}}", markup=False, table_column=Column(no_wrap=True, **kwargs))

    _Screen.live = Progress(
        text("description"),
        BarColumn(bar_width=20),
        text("fields[count]", justify="right"),
        Time(table_column=Column(no_wrap=True)),
        text("fields[note]", overflow="ellipsis"),
        console=Console(stderr=True),
        refresh_per_second=OFTEN,
        # What is printed appears above the bars; into a file it goes as it is.
        redirect_stdout=sys.stdout.isatty(),
    )
    _Screen.leaving = ExitStack()
    streams = {sys.stderr: "stderr"} | ({sys.stdout: "stdout"} if sys.stdout.isatty() else {})
    _Screen.live.start()
    for handler in _handlers():
        # It holds the stream that it was made with, and would write across the bars.
        if (name := streams.get(handler.stream)) is not None:
            _Screen.leaving.callback(handler.setStream, handler.stream)
            handler.setStream(getattr(sys, name))


def _handlers() -> list[logging.StreamHandler]:
    """Those that write to a stream that is open already, files left aside."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    found = [handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers]
    return [h for h in found if isinstance(h, logging.StreamHandler) and not isinstance(h, logging.FileHandler)]


def _end() -> None:
    live, _Screen.live = _Screen.live, None
    live.stop()
    _Screen.leaving.close()


def _forget() -> None:
    """In a forked process, such as a loader's worker: the bars are its parent's, and so is the lock to draw them."""
    if _Screen.live is not None:
        _Screen.live, _Screen.wanted = None, False
        _Screen.leaving.close()
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            setattr(sys, name, getattr(stream, "rich_proxied_file", stream))


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget)
