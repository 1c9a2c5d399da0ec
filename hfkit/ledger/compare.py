"""The comparison from start to pages."""

import json
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from hfkit.errors import UserError
from hfkit.ledger.arguments import split_flags
from hfkit.ledger.bench import Bench
from hfkit.ledger.cells import Cell, Contender, Results, due
from hfkit.ledger.engines.local import default_jobs, started, watched
from hfkit.ledger.facts import ledger_of, table_of
from hfkit.ledger.pages import render_ledger
from hfkit.ledger.queue import Queue
from hfkit.progress import alone_on_stdout, progress
from hfkit.runtime.folders import write_page
from hfkit.runtime.processes import take_rank

SCHEMA = "hfkit.compare/1"
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
    if not split_flags(argv)[0].json:
        return [Path(page) for page in _compared(argv)]
    with alone_on_stdout():
        ledgers = _compared(argv)
    if ledgers:
        tests = [summary_of(page, ledger) for page, ledger in ledgers.items()]
        print(json.dumps({"schema": SCHEMA, "tests": tests}, indent=1, allow_nan=False))
    return [Path(page) for page in ledgers]


def summary_of(page: str, ledger: Mapping[str, Any]) -> dict[str, Any]:
    """What `--json` prints of one test; the whole of it is in the file `ledger` (see `ledger.schema`)."""
    told = ("name", "kind", "headline", "spread", "interval", "difference", "cost", "trained_parameters")
    return {
        "dataset": ledger["task"]["dataset"],
        "headline": ledger["task"]["headline"],
        "page": page,
        "ledger": str(Path(page).with_suffix(".json")),
        "verdict": ledger["verdict"],
        "contenders": [{name: contender[name] for name in told} for contender in ledger["contenders"]],
        "failed": ledger["failed"],
        "skipped": ledger["skipped"],
    }


def _compared(argv: list[str]) -> dict[str, dict[str, Any]]:
    """The ledgers by their pages; none on other ranks than the first."""
    rank, console = take_rank(), Console()
    bench = Bench(argv)
    own, contenders = bench.own, bench.contenders()
    queue, plan = Queue(Path(own.compare_dir), bench.key), planned(bench, contenders)
    if rank is None or rank.rank == 0:
        # Why a contender was skipped may be mended: a package installed, memory free.
        queue.forget(queue.known(plan), "skipped", *["failed"] * own.retry_failed)
    if rank is not None:
        queue.work(plan, bench.run)
        if rank.rank:
            return {}
    elif queue.open(plan):
        _run_here(own.jobs or default_jobs(), argv, queue, plan, console)
    ledgers = {}
    for test in bench.spans:
        ledger = ledger_of(bench, contenders, queue, plan, test)
        page = _saved(ledger, queue.folder, "" if test == next(iter(bench.spans)) else f"-{test}")
        ledgers[str(page)] = ledger
        console.print(table_of(ledger))
        for sentence in ledger["verdict"]["sentences"]:
            console.print(sentence["text"], highlight=False, markup=False)
        console.print(f"Ledger: {page}", highlight=False, markup=False, soft_wrap=True)
    return ledgers


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
    with progress("Comparison", len(queue.known(plan)), done=len(told)) as advance:
        for _ in watched([partial(started, job, jobs, argv, logs) for job in range(jobs)], EVERY):
            cells = queue.known(plan)
            for cell, found in queue.results(cells).items():
                if cell not in told:
                    told.add(cell)
                    advance(total=len(cells))
                    print(f"{len(told)}/{len(cells)} {line_of(cell, found)}", flush=True)
    if queue.open(plan):
        raise UserError(f"compare_dir '{queue.folder}'", "runs were left open", f"Look into {logs}, and start again")


def line_of(cell: Cell, found: dict) -> str:
    """One ended cell in one line."""
    what = f"{cell.contender.name}, seed {cell.seed}{f', {cell.setting}' * bool(cell.setting)}"
    if found["status"] != "ok":
        return f"{what}: {found['status']} ({found['reason']})"
    score = next(iter(next(iter(found["tests"].values())).items()))
    return f"{what}: {score[0]} {score[1]:.3f}, {found['cost']['cpu_seconds']:.0f} CPU s"


def _saved(ledger: dict, folder: Path, suffix: str) -> Path:
    for name, text in render_ledger(ledger).items():
        stem, _, ending = name.partition(".")
        write_page(folder / f"{stem}{suffix}.{ending}", text)
    return folder / f"ledger{suffix}.html"
