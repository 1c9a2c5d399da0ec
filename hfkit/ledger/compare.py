"""The comparison from start to pages."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from hfkit.errors import Failure, UserError
from hfkit.ledger.arguments import split_flags
from hfkit.ledger.bench import SHARED, Bench
from hfkit.ledger.cells import Cell, Contender, Plan, Result, plan_cells
from hfkit.ledger.engines.local import default_jobs, start_worker, watch_workers
from hfkit.ledger.facts import ledger_of, table_of
from hfkit.ledger.pages import render_ledger
from hfkit.ledger.queue import Queue
from hfkit.ledger.runner import Runner
from hfkit.progress import progress, reserve_stdout
from hfkit.runtime.commands import GOES_ON
from hfkit.runtime.durable import explain_no_room, require_room, write_file
from hfkit.runtime.processes import take_rank

SCHEMA = "hfkit.compare/2"
EVERY = 0.5  # seconds between two looks for ended cells


def compare(argv: list[str]) -> list[Path]:
    """Run the missing cells of a comparison, and write its pages: one for the test rows, one for each other test.

    Under a launcher every process works on cells, and the first one writes the pages.

    Args:
        argv: flags of `CompareArguments` and of the recipe.

    Returns:
        The HTML pages; none on ranks other than the first.

    Raises:
        UserError: flags or data that cannot be compared with.
        Failure: runs were lost for want of room or the like. The pages are there, without them.
    """
    own, _ = split_flags(argv)
    with explain_no_room(Path(own.compare_dir), GOES_ON):
        if not own.json:
            return [Path(page) for page in _run(argv)]
        with reserve_stdout():
            ledgers = _run(argv)
    if ledgers:
        tests = [summary_of(page, ledger) for page, ledger in ledgers.items()]
        print(json.dumps({"schema": SCHEMA, "tests": tests}, indent=1, allow_nan=False))
    return [Path(page) for page in ledgers]


def summary_of(page: str, ledger: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `--json` about one test; everything is in the file `ledger` (see `ledger.schema`)."""
    keys = ("name", "kind", "validation", "headline", "spread", "interval", "difference", "cost", "trained_parameters")
    return {
        "dataset": ledger["task"]["dataset"],
        "headline": ledger["task"]["headline"],
        "page": page,
        "ledger": str(Path(page).with_suffix(".json")),
        "chosen": ledger["chosen"],
        "verdict": ledger["verdict"],
        "contenders": [{key: contender[key] for key in keys} for contender in ledger["contenders"]],
        "failed": ledger["failed"],
        "skipped": ledger["skipped"],
    }


def _run(argv: list[str]) -> dict[str, dict[str, Any]]:
    """The ledgers by their pages; none on ranks other than the first."""
    rank, console = take_rank(), Console()
    bench = Bench(argv)
    own, contenders = bench.own, bench.contenders()
    queue, plan = Queue(Path(own.compare_dir), bench.key), make_plan(bench, contenders)
    if rank is None or rank.rank == 0:
        # The reason for skipping a contender may be gone: a package is installed now, or memory free.
        queue.forget(queue.cells(plan), *(("skipped", "failed") if own.retry_failed else ("skipped",)))
        queue.forget_faults_of_the_machine(queue.cells(plan))
    if rank is not None:
        queue.work(plan, Runner(bench).run)
        if rank.rank:
            return {}
    elif queue.open_cells(plan):
        _run_here(own.jobs or default_jobs(), argv, queue, plan, console)
    ledgers = {}
    for test in bench.spans:
        ledger = ledger_of(bench, contenders, queue, plan, test)
        page = _save(ledger, queue.folder, "" if test == next(iter(bench.spans)) else f"-{test}")
        ledgers[str(page)] = ledger
        console.print(table_of(ledger))
        for sentence in ledger["verdict"]["sentences"]:
            console.print(sentence["text"], highlight=False, markup=False)
        console.print(f"Ledger: {page}", highlight=False, markup=False, soft_wrap=True)
    if not queue.open_cells(plan):
        shutil.rmtree(queue.folder / SHARED, ignore_errors=True)
    lost = {cell: result for cell, result in queue.results(queue.cells(plan)).items() if result.machine}
    if lost:
        raise Failure(
            f"{len(lost)} runs were lost to faults of this machine, such as {line_of(*next(iter(lost.items())))}",
            "Once the cause is gone, the same command runs them again",
        )
    return ledgers


def work(argv: list[str]) -> None:
    """Work on cells of a comparison until there are none left."""
    bench = Bench(argv)
    queue = Queue(Path(bench.own.compare_dir), bench.key)
    try:
        with explain_no_room(queue.folder, GOES_ON):
            queue.work(make_plan(bench, bench.contenders()), Runner(bench).run)
    except Failure as error:  # started again, it would come no further; its parent reads this
        try:
            print(f"error: {error}", flush=True)
        except OSError:  # its log lies on the full disk, and its exit must not fail for that
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_plan(bench: Bench, contenders: list[Contender]) -> Plan:
    """The plan of a comparison: which cells can be run, given results (see `plan_cells`)."""
    own = bench.own
    budgets = [rows for rows in own.label_budgets if rows < len(bench.rows["train"])]
    return lambda results: plan_cells(
        contenders,
        results,
        seeds=own.seeds,
        factors=own.tune,
        budgets=budgets,
        folds=own.folds,
        search=bench.search,
        sign=bench.sign,
    )


def _run_here(jobs: int, argv: list[str], queue: Queue, plan: Plan, console: Console) -> None:
    """Run the open cells in processes of this machine, and print a line for each that ends."""
    jobs = min(jobs, 2 * len(queue.open_cells(plan)))  # other seeds appear once rates are chosen
    logs = queue.folder / "logs"
    console.print(f"{len(queue.open_cells(plan))} runs or more, {jobs} at once; logs: {logs}", highlight=False)
    ended = set(queue.results(queue.cells(plan)))
    with progress("Comparison", len(queue.cells(plan)), done=len(ended)) as advance:
        for _ in watch_workers([partial(start_worker, job, jobs, argv, logs) for job in range(jobs)], EVERY):
            cells = queue.cells(plan)
            for cell, result in queue.results(cells).items():
                if cell not in ended:
                    ended.add(cell)
                    advance(total=len(cells))
                    print(f"{len(ended)}/{len(cells)} {line_of(cell, result)}", flush=True)
    if cells := queue.open_cells(plan):
        require_room(queue.folder, GOES_ON)  # the log may have had none for a word of it
        if said := last_error(logs):
            raise Failure(f"{len(cells)} runs were left open. A worker said: {said}", f"Its log is in {logs}")
        raise UserError(f"compare_dir '{queue.folder}'", "runs were left open", f"Look into {logs}, and start again")


def last_error(logs: Path) -> str | None:
    """The error with which a worker ended; None if none said anything."""
    for log in sorted(logs.glob("worker-*.txt"), key=lambda log: log.stat().st_mtime, reverse=True):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines and lines[-1].startswith("error: "):
            return lines[-1].removeprefix("error: ")
    return None


def line_of(cell: Cell, result: Result) -> str:
    """One ended cell in one line."""
    setting = f", {cell.setting}" if cell.setting else ""
    run = f"{cell.contender.name}, seed {cell.seed}{setting}"
    if result.status == "pruned":
        return f"{run}: {result.reason}, {result.cost['cpu_seconds']:.0f} CPU s"
    if not result.ok:
        return f"{run}: {result.status} ({result.reason})"
    key, score = next(iter(next(iter(result.tests.values())).items()))
    return f"{run}: {key} {score:.3f}, {result.cost['cpu_seconds']:.0f} CPU s"


def _save(ledger: dict, folder: Path, suffix: str) -> Path:
    for name, text in render_ledger(ledger).items():
        stem, _, ending = name.partition(".")
        write_file(folder / f"{stem}{suffix}.{ending}", text)
    return folder / f"ledger{suffix}.html"
