"""Progress bars on a terminal, and in a log a line every ten minutes for work that takes that long.

The first process of a launcher draws them on stderr. There are none where stderr is no terminal, in a notebook, with
`--disable_tqdm true`, and with TQDM_DISABLE=1 in the environment, which also silences the bars of libraries. A nested
bar appears below the outer one and disappears when it ends.
"""

import logging
import os
import re
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
    """The bars that this process draws at the moment."""

    wanted = True
    live: Any = None  # the `rich.progress.Progress` that all bars share
    leaving: ExitStack  # undoes what belongs to it


def switch(on: bool) -> None:
    """Turn bars on or off, as `--disable_tqdm` says; bars that are drawn already go on."""
    _Screen.wanted = on


def track(items: Iterable[Item], description: str | None, total: int | None = None) -> Iterator[Item]:
    """Yield `items` one by one and show how many have been taken; without a description there is no bar.

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
    """A bar for work that is not a loop.

    Yields:
        `advance(count=1, note=None, total=None)`: the note appears beside the bar, and the total replaces the old one.

    Args:
        total: None where it is not known.
        done: how much of it an earlier run has done.
        leave: keep an outermost bar on the screen when it ends.
    """
    with silence_other_bars():
        if not _is_visible():
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
def silence_other_bars(*, downloads: bool = False) -> Iterator[None]:
    """Keep datasets and transformers from drawing bars, which would end up in logs and be drawn across ours.

    Downloads and uploads of huggingface_hub keep their bars: that library stays out of logs by itself.

    Args:
        downloads: leave a terminal to datasets, which shows how many bytes have arrived.
    """
    with ExitStack() as undo:
        if downloads and _is_visible():
            yield
            return
        if "datasets" in sys.modules:
            import datasets

            if datasets.is_progress_bar_enabled():
                datasets.disable_progress_bars()
                undo.callback(datasets.enable_progress_bars)
        if "transformers" in sys.modules:
            from transformers.utils.logging import set_tqdm_hook

            undo.callback(set_tqdm_hook, set_tqdm_hook(_disable_bar))
        yield


@contextmanager
def reserve_stdout() -> Iterator[TextIO]:
    """Yield the standard output for the result; everything else that prints in the meantime goes to standard error.

    Other libraries draw no bars either: datasets and transformers are imported here so that `silence_other_bars` finds
    them.
    """
    import datasets  # noqa: F401
    import transformers.utils.logging  # noqa: F401

    stdout = sys.stdout
    with silence_other_bars(), redirect_stdout(sys.stderr):
        yield stdout


@contextmanager
def loading() -> Iterator[None]:
    """Keep other libraries quiet while weights are loaded, transformers' table of missing weights included.

    The caller checks for missing weights itself, and reports them on one line where they matter.
    """
    with silence_other_bars(), hide_records("transformers.modeling_utils", "LOAD REPORT"):
        yield


@contextmanager
def hide_records(logger: str, pattern: str) -> Iterator[None]:
    """Keep records in whose message a pattern is found from what a library logs."""

    def keeps(record: logging.LogRecord) -> bool:
        return re.search(pattern, record.getMessage()) is None

    log = logging.getLogger(logger)
    log.addFilter(keeps)
    try:
        yield
    finally:
        log.removeFilter(keeps)


def _disable_bar(factory: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    return factory(*args, **{**kwargs, "disable": True})


def _is_visible() -> bool:
    """Whether a bar that begins now would be drawn."""
    if _Screen.live is not None:
        return True
    if not (_Screen.wanted and FIRST and sys.stderr.isatty()) or os.environ.get("TQDM_DISABLE"):
        return False
    from rich.console import Console

    return Console(stderr=True).is_interactive


class _Silent:
    """The bar of a log: a line now and then, so that a long run is not taken for a dead one."""

    def __init__(self, description: str, total: int | None, done: int) -> None:
        self.description, self.total, self.done = description, total, done
        self.began = self.printed = time.monotonic()

    def __call__(self, count: int = 1, note: str | None = None, total: int | None = None) -> None:
        self.done, self.total = self.done + count, self.total if total is None else total
        now = time.monotonic()
        if now - self.printed >= HEARTBEAT and FIRST and _Screen.wanted and not os.environ.get("TQDM_DISABLE"):
            self.printed = now
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
        """The time that is left; once it has ended, or without a known total, the time that it took."""

        def render(self, task: Task) -> Text:
            over = task.total is None or task.stop_time is not None
            return TimeElapsedColumn().render(task) if over else super().render(task)

    # On a narrow terminal the bar shrinks, not the numbers.
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
        # Printed lines appear above the bars; in a file they stay as they are.
        redirect_stdout=sys.stdout.isatty(),
    )
    _Screen.leaving = ExitStack()
    streams = {sys.stderr: "stderr"} | ({sys.stdout: "stdout"} if sys.stdout.isatty() else {})
    _Screen.live.start()
    for handler in _handlers():
        # A handler keeps the stream it was made with, and would write across the bars.
        if (name := streams.get(handler.stream)) is not None:
            _Screen.leaving.callback(handler.setStream, handler.stream)
            handler.setStream(getattr(sys, name))


def _handlers() -> list[logging.StreamHandler]:
    """The log handlers that write to a stream and not to a file."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    found = [handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers]
    return [h for h in found if isinstance(h, logging.StreamHandler) and not isinstance(h, logging.FileHandler)]


def _end() -> None:
    live, _Screen.live = _Screen.live, None
    live.stop()
    _Screen.leaving.close()


def _forget() -> None:
    """Drop the bars in a forked process, such as a loader's worker: bars and their lock belong to the parent."""
    if _Screen.live is not None:
        _Screen.live, _Screen.wanted = None, False
        _Screen.leaving.close()
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            setattr(sys, name, getattr(stream, "rich_proxied_file", stream))


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget)
