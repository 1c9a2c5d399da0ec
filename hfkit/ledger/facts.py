"""What a comparison found out, as the plain values that its pages are rendered from."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hfkit.ledger.bench import SAMPLE_ROWS, Bench
from hfkit.ledger.budgets import crossovers
from hfkit.ledger.cells import Cell, Contender, Results, chosen_factor, seeds_of, tuning_cells
from hfkit.ledger.entries import from_scratch
from hfkit.ledger.queue import Queue
from hfkit.ledger.schema import DIFFERENCE, SCHEMA
from hfkit.ledger.statistics import compared, pair
from hfkit.ledger.verdict import verdict
from hfkit.report.names import checkpoint_name, dataset_name
from hfkit.report.schema import to_finite, to_plain
from hfkit.runtime.machine import command_of, environment
from hfkit.runtime.redaction import withhold_secrets
from hfkit.scores.calibration import calibration
from hfkit.scores.score import headline_text

MOST_DISAGREEMENTS = 12  # rows shown


class Runs:
    """The ended cells of one comparison, by contender, seen through one of its tests."""

    def __init__(self, bench: Bench, queue: Queue, cells: list[Cell], test: str) -> None:
        self.bench, self.queue, self.test = bench, queue, test
        self.results: Results = queue.results(cells)
        self.span = bench.spans[test]

    def of(self, contender: Contender, rows: int | None = None) -> dict[Cell, Mapping[str, Any]]:
        """The cells of a contender at its chosen rate, by seed."""
        own = self.bench.own
        factor = chosen_factor(tuning_cells(contender, own.tune, own.seeds[0]), self.results)
        seeds = seeds_of(contender, own.seeds, rows)
        return {
            cell: found
            for cell, found in self.results.items()
            if cell.contender == contender and cell.rows == rows and cell.factor == factor and cell.seed in seeds
        }

    def ended_well(self, contender: Contender, rows: int | None = None) -> dict[Cell, Mapping[str, Any]]:
        return {cell: found for cell, found in self.of(contender, rows).items() if found["status"] == "ok"}

    def tallies(self, contender: Contender, rows: int | None = None) -> list[np.ndarray]:
        return [self.queue.arrays(cell)["tallies"][self.span] for cell in self.ended_well(contender, rows)]

    def answers(self, contender: Contender) -> list:
        """To the test rows, by the first seed that ended well."""
        return next(iter(self.ended_well(contender).values()))["answers"][self.span]

    def headline(self, found: Mapping[str, Any]) -> float:
        return self.scores(found)[self.bench.task.headline]

    def scores(self, found: Mapping[str, Any]) -> Mapping[str, float]:
        # By position: a folder may have been renamed since.
        return list(found["tests"].values())[list(self.bench.spans).index(self.test)]


def ledger_of(
    bench: Bench, contenders: list[Contender], queue: Queue, plan: Callable[[Results], list[Cell]], test: str
) -> dict[str, Any]:
    """The whole ledger of one test, as `ledger.json` holds it (see `ledger.schema`)."""
    runs = Runs(bench, queue, queue.known(plan), test)
    task, rows = bench.task, bench.raw["test"].select(range(runs.span.start, runs.span.stop))
    skipped = {
        contender: next(iter(found.values()))["reason"]
        for contender in contenders
        if (found := runs.of(contender)) and all(one["status"] == "skipped" for one in found.values())
    }
    competing = [contender for contender in contenders if runs.ended_well(contender)]
    names = {contender: bench.described(contender)[0] for contender in contenders}
    checkpoint = bench.recipe.checkpoint
    checkpoint = checkpoint_name(task.sample if checkpoint == "sample" else checkpoint)
    units = task.units(rows)
    tallies = {names[contender]: runs.tallies(contender) for contender in competing}
    scores = compared(tallies, task.headline_of, units=units)
    entries = [
        {
            **entry_of(runs, contender),
            **scores[names[contender]],
            "difference": difference_of(scores[names[contender]]["difference"]),
            "calibration": calibration_of(runs, contender, rows),
        }
        for contender in competing
    ]
    ledger = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_of("hfkit", "compare", argv=bench.argv),
        "title": f"Which way of reusing {checkpoint} on {dataset_name(test)}?",
        "settings": {
            "comparison": vars(bench.own),
            "recipe": vars(bench.recipe),
            "task": vars(task),
            "training": bench.asked[2].to_dict(),
        },
        "seed": 0,
        "task": {
            "name": task.name,
            "headline": task.headline,
            "unit": task.unit_column or task.unit,
            "dataset": dataset_name(test),
        },
        "checkpoint": checkpoint,
        "rows": {
            "train": len(bench.raw["train"]),
            "train_available": bench.available,
            "validation": len(bench.raw["validation"]),
            "test": len(rows),
        },
        "notes": notes_of(bench, test),
        "contenders": sorted(entries, key=lambda entry: -entry["headline"]),
        "failed": [
            {
                "name": names[cell.contender],
                "seed": cell.seed,
                "reason": f"{cell.setting}: {found['reason']}" if cell.setting else found["reason"],
            }
            for cell, found in runs.results.items()
            if found["status"] != "ok" and cell.contender not in skipped
        ],
        "skipped": [{"name": names[contender], "reason": reason} for contender, reason in skipped.items()],
        "pairs": pairs_of(competing, names, tallies, scores, task.headline_of, units),
        "budgets": budgets_of(runs, competing, names, units),
        "classes": classes_of(runs, competing, names, rows),
        "disagreements": disagreements_of(runs, competing, names, rows),
        "environment": environment(),
    }
    ledger["verdict"] = verdict(ledger)
    return withhold_secrets(to_finite(to_plain(ledger)))


def entry_of(runs: Runs, contender: Contender) -> dict[str, Any]:
    """What the pages show of a contender, besides what statistics make of its scores."""
    every, well = runs.of(contender), list(runs.ended_well(contender).values())
    name, description = runs.bench.described(contender)
    tried = {
        cell: runs.results[cell]
        for cell in tuning_cells(contender, runs.bench.own.tune, runs.bench.own.seeds[0])
        if cell in runs.results
    }
    cost = mean_cost([alone(found) for found in well])
    spent = [found["cost"]["cpu_seconds"] for cell, found in tried.items() if cell not in every and "cost" in found]
    latency = [found["latency_ms"] for found in well if found["latency_ms"] is not None]
    return {
        "name": name,
        "kind": contender.kind,
        "description": description,
        "tuning": {
            "tried": [
                {"learning_rate": rate_of(contender, runs, cell), "validation": found.get("validation")}
                for cell, found in tried.items()
            ],
            "chosen": rate_of(contender, runs, next(iter(every))),
        }
        if tried
        else None,
        "seeds": [seed_of(runs, cell, found) for cell, found in every.items()],
        "failed": len(every) - len(well),
        "cost": {**cost, "tuning_cpu_seconds": float(sum(spent))},
        "parameters": well[0]["parameters"],
        "trained_parameters": well[0]["trained_parameters"],
        "latency_ms": float(np.median(latency)) if latency else None,
        "facts": well[0]["facts"],
    }


def alone(found: Mapping[str, Any]) -> dict[str, float]:
    """What a run would have cost by itself: features that another one had computed are paid for too."""
    cost, shared = found["cost"], found["facts"].get("features", "computed") != "computed"
    seconds = found["facts"].get("backbone_cpu_seconds", 0.0) if shared else 0.0
    return {**cost, "cpu_seconds": cost["cpu_seconds"] + seconds}


def mean_cost(paid: list[Mapping[str, float]]) -> dict[str, float]:
    """What runs cost in the mean, by what was measured of all of them: one machine may tell more than another."""
    return {key: float(np.mean([one[key] for one in paid])) for key in paid[0] if all(key in one for one in paid)}


def rate_of(contender: Contender, runs: Runs, cell: Cell) -> float:
    """The rate of what learns: the top block's, or of a head alone the head's."""
    args = runs.bench.args_of(cell, Path("unused"))
    return args.head_learning_rate if args.unfreeze_stages == 0 and args.head_learning_rate else args.learning_rate


def seed_of(runs: Runs, cell: Cell, found: Mapping[str, Any]) -> dict[str, Any]:
    if found["status"] != "ok":
        unknown = {"validation": None, "headline": None, "scores": {}, "curve": []}
        return {"seed": cell.seed, "status": "failed", "reason": found["reason"], **unknown}
    return {
        "seed": cell.seed,
        "status": "ok",
        "reason": "it gives every row the same answer" if found["collapsed"] else "",
        "validation": found["validation"],
        "headline": runs.headline(found),
        "scores": runs.scores(found),
        "curve": found["curve"],
    }


def difference_of(found: Mapping[str, Any] | None, to: str | None = None) -> dict[str, Any] | None:
    """A paired difference with the keys that the pages know."""
    return found and {key: {"to": to, "p_holm": None, **found}[key] for key in DIFFERENCE}


def calibration_of(runs: Runs, contender: Contender, rows: Any) -> dict[str, Any] | None:
    """Whether a contender's probabilities can be believed: those of its first seed that ended well."""
    arrays = runs.queue.arrays(next(iter(runs.ended_well(contender))))
    if "probabilities_test" not in arrays or "probabilities_validation" not in arrays:
        return None
    task, ids = runs.bench.task, {label: i for i, label in enumerate(runs.bench.labels)}

    def gold(split: Any) -> np.ndarray:
        return np.array([ids[answer] for answer in task.references(split)])

    found = calibration(
        arrays["probabilities_test"][runs.span],
        gold(rows),
        validation=(arrays["probabilities_validation"], gold(runs.bench.raw["validation"])),
    )
    return {
        "ece": found["ece"],
        "ece_scaled": found["tempered"]["ece"],
        "temperature": found["temperature"],
        "bins": found["bins"],
        "bins_scaled": found["tempered"]["bins"],
    }


def pairs_of(
    competing: list[Contender],
    names: Mapping[Contender, str],
    tallies: Mapping[str, list[np.ndarray]],
    scores: Mapping[str, Mapping[str, Any]],
    headline_of: Callable,
    units: np.ndarray | None,
) -> dict[str, Any]:
    """The best strategy against training from scratch, and against the best baseline."""

    def best(chosen: list[Contender]) -> str | None:
        return max((names[c] for c in chosen), key=lambda name: scores[name]["headline"], default=None)

    strategies = [c for c in competing if c.kind == "strategy" and not from_scratch(c.name)]
    rivals = {
        "scratch": best([c for c in competing if from_scratch(c.name)]),
        "baseline": best([c for c in competing if c.kind == "baseline"]),
    }
    ours = best(strategies)
    return {
        key: difference_of(pair(tallies[ours], tallies[rival], headline_of, units=units), rival)
        if ours and rival
        else None
        for key, rival in rivals.items()
    }


def budgets_of(
    runs: Runs, competing: list[Contender], names: Mapping[Contender, str], units: np.ndarray | None
) -> dict[str, Any] | None:
    """Score against labels for every contender, and where two curves cross."""
    sizes: list[int | None] = [*sorted(runs.bench.own.label_budgets), None]
    sizes = [size for size in sizes if size is None or size < len(runs.bench.raw["train"])]
    if len(sizes) == 1 or not competing:
        return None
    headline_of = runs.bench.task.headline_of
    found: dict[int, dict[str, list[np.ndarray]]] = {}
    for size in sizes:
        rows = len(runs.bench.raw["train"]) if size is None else size
        found[rows] = {names[c]: tallies for c in competing if (tallies := runs.tallies(c, size))}
    scores = {rows: compared(of_size, headline_of, units=units) for rows, of_size in found.items() if of_size}
    curves = [
        {
            "name": names[contender],
            "points": [
                {
                    "rows": rows,
                    "headline": of_size[names[contender]]["headline"],
                    "low": of_size[names[contender]]["interval"]["low"],
                    "high": of_size[names[contender]]["interval"]["high"],
                    "seeds": [float(headline_of(one.sum(0))) for one in found[rows][names[contender]]],
                }
                for rows, of_size in scores.items()
                if names[contender] in of_size
            ],
        }
        for contender in competing
    ]
    by_name = {
        names[c]: {rows: of_size[names[c]] for rows, of_size in found.items() if names[c] in of_size} for c in competing
    }
    found_out = crossovers(by_name, headline_of, units=units)["crossovers"]
    return {"curves": curves, "crossovers": [crossover_of(one) for one in found_out if one["rows"] is not None]}


def crossover_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """A crossing of two curves, with the keys that the pages know."""
    low, high = (None if found[end] is None else round(found[end]) for end in ("low", "high"))
    interval = f"{low or 'fewer'} to {'more' if high is None else high}"
    text = f"{found['ahead']} is ahead of {found['behind']} from about {found['rows']:,.0f} rows on ({interval})"
    ends = {"low": found["low"], "high": found["high"]}
    return {"a": found["ahead"], "b": found["behind"], "rows": found["rows"], **ends, "text": text}


def classes_of(
    runs: Runs, competing: list[Contender], names: Mapping[Contender, str], rows: Any
) -> dict[str, Any] | None:
    """F1 of every class by contender, of its first seed."""
    task, gold = runs.bench.task, runs.bench.task.references(rows)
    found = {names[c]: task.breakdown(runs.answers(c), gold).get("per_class", {}) for c in competing}
    labels = sorted({label for of_one in found.values() for label in of_one})
    if not labels:
        return None
    scores = {name: [of_one.get(label, {}).get("f1") for label in labels] for name, of_one in found.items()}
    return {"labels": labels, "scores": scores, "metric": "f1"}


def disagreements_of(
    runs: Runs, competing: list[Contender], names: Mapping[Contender, str], rows: Any
) -> list[dict[str, Any]]:
    """Rows that one contender alone gets right: contenders take turns, rows in their order."""
    task = runs.bench.task
    right = {c: task.headline_of(runs.tallies(c)[0]) >= 1 for c in competing}
    if len(right) < 3:
        return []
    alone = np.sum(list(right.values()), axis=0) == 1
    turns = [[(c, int(row)) for row in np.flatnonzero(alone & hits)] for c, hits in right.items()]
    longest = max(map(len, turns))
    order = [of_one[i] for i in range(longest) for of_one in turns if i < len(of_one)]
    gold, answers, found = task.references(rows), {c: runs.answers(c) for c in competing}, []
    for contender, row in order[:MOST_DISAGREEMENTS]:
        loaded = rows[row]
        shown = task.shown(loaded)
        found.append(
            {
                "row": row,
                "shown": shown["text"],
                "picture": shown["picture"] or None,
                "gold": task.said(gold[row], loaded),
                "right": names[contender],
                "answers": {names[c]: task.said(answers[c][row], loaded) for c in competing},
            }
        )
    return found


def notes_of(bench: Bench, test: str) -> list[str]:
    """What a reader must know of how the rows came about."""
    used, available, own = len(bench.raw["train"]), bench.available, bench.own
    notes = []
    if used < available:
        notes.append(f"{used:,} of {available:,} training rows.")
    if bench.task.dataset == "sample":
        notes.append(
            f"The bundled sample is synthetic; of its rows {SAMPLE_ROWS} are trained on unless told otherwise."
        )
    if test != next(iter(bench.spans)):
        notes.append(f"Trained and validated on {next(iter(bench.spans))}, judged on the test rows of {test}.")
    if own.label_budgets:
        notes.append(
            "Label budgets: rows are drawn with the seed, classes in turn, a larger draw holding the smaller ones;"
            " validation is cut to as many rows; learning rates are those chosen with all rows."
        )
    notes.append(
        "CPU seconds are those of one run without start-up: of a strategy training and choosing the decision, of a"
        " baseline fitting and answering the test rows; features that several share are counted for each."
    )
    return notes


def table_of(ledger: Mapping[str, Any]) -> Any:
    """The contenders as a `rich` table for the console."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    score = headline_text(ledger["task"]["headline"])
    title = f"{score} on {ledger['rows']['test']:,} test rows of {ledger['task']['dataset']}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("contender", overflow="fold", min_width=16)
    for heading in ("mean", "95 % interval", "sd of seeds", "CPU s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in ledger["contenders"]:
        spread = "" if entry["spread"] is None else f"{entry['spread']:.3f}"
        interval = f"[{entry['interval']['low']:.3f}, {entry['interval']['high']:.3f}]"
        cells = (f"{entry['headline']:.3f}", interval, spread, f"{entry['cost']['cpu_seconds']:,.1f}")
        table.add_row(Text(entry["name"]), *cells)
    return table
