"""The comparison from start to pages."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console

from ..errors import UserError
from ..evaluation.ledger_pages import render_ledger
from ..processes import launched
from .bench import Bench
from .cells import Cell, Contender, Results, due
from .facts import ledger_of, table_of
from .queue import Queue
from .workers import default_jobs, started, watched

EVERY = 0.5  # seconds between two looks at what has ended


def compare(argv: list[str]) -> list[Path]:
    """Run what is missing of a comparison, and write its pages: one for the test rows, one for each other test.

    Started by a launcher, every process works on cells, and the first one writes the pages.

    Args:
        argv: flags of `CompareArguments` and of the recipe.

    Returns:
        The HTML pages; none on other ranks than the first.

    Raises:
        UserError: flags or data that cannot be compared with.
    """
    rank, console = launched(), Console()
    bench = Bench(argv)
    own, contenders = bench.own, bench.contenders()
    queue, plan = Queue(Path(own.compare_dir), bench.key), planned(bench, contenders)
    if rank is None or rank.rank == 0:
        # Why a contender was skipped may be mended: a package installed, memory free.
        queue.forget(queue.known(plan), "skipped", *["failed"] * own.retry_failed)
    if rank is not None:
        queue.work(plan, bench.run)
        if rank.rank:
            return []
    elif queue.open(plan):
        _run_here(own.jobs or default_jobs(), argv, queue, plan, console)
    pages = []
    for test in bench.spans:
        ledger = ledger_of(bench, contenders, queue, plan, test)
        pages.append(_saved(ledger, queue.folder, "" if test == next(iter(bench.spans)) else f"-{test}"))
        console.print(table_of(ledger))
        for sentence in ledger["verdict"]["sentences"]:
            console.print(sentence["text"], highlight=False, markup=False)
        console.print(f"Ledger: {pages[-1]}", highlight=False, markup=False, soft_wrap=True)
    return pages


def work(argv: list[str]) -> None:
    """Work on cells of a comparison until there are none left."""
    # A worker that is stopped says so, or its cell would seem to have killed it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bench = Bench(argv)
    Queue(Path(bench.own.compare_dir), bench.key).work(planned(bench, bench.contenders()), bench.run)


def planned(bench: Bench, contenders: list[Contender]) -> Callable[[Results], list[Cell]]:
    """What `Queue.work` asks: which cells can be run, given results."""
    own = bench.own
    budgets = [rows for rows in own.label_budgets if rows < len(bench.raw["train"])]
    return lambda results: due(contenders, results, seeds=own.seeds, factors=own.tune, budgets=budgets)


def _run_here(
    jobs: int, argv: list[str], queue: Queue, plan: Callable[[Results], list[Cell]], console: Console
) -> None:
    """Run the open cells in processes of this machine, and say what ends."""
    jobs = min(jobs, 2 * len(queue.open(plan)))  # other seeds appear once rates are chosen
    logs = queue.folder / "logs"
    console.print(f"{len(queue.open(plan))} runs or more, {jobs} at once; logs: {logs}", highlight=False)
    told = set(queue.results(queue.known(plan)))
    for _ in watched([partial(started, job, jobs, argv, logs) for job in range(jobs)], EVERY):
        cells = queue.known(plan)
        for cell, found in queue.results(cells).items():
            if cell not in told:
                told.add(cell)
                console.print(f"{len(told)}/{len(cells)} {line_of(cell, found)}", highlight=False, markup=False)
    if queue.open(plan):
        raise UserError(f"compare_dir '{queue.folder}'", "runs were left open", f"Look into {logs}, and start again")


def line_of(cell: Cell, found: dict) -> str:
    """One ended cell in one line."""
    what = f"{cell.contender.name}, seed {cell.seed}"
    what += f", rates x {cell.factor:g}" * (cell.factor != 1) + f", {cell.rows} rows" * (cell.rows is not None)
    if found["status"] != "ok":
        return f"{what}: {found['status']} ({found['reason']})"
    score = next(iter(next(iter(found["tests"].values())).items()))
    return f"{what}: {score[0]} {score[1]:.3f}, {found['cost']['cpu_seconds']:.0f} CPU s"


def _saved(ledger: dict, folder: Path, suffix: str) -> Path:
    for name, text in render_ledger(ledger).items():
        stem, _, ending = name.partition(".")
        path = folder / f"{stem}{suffix}.{ending}"
        part = path.with_name(f".{path.name}")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    return folder / f"ledger{suffix}.html"
