"""The results of a comparison as the plain values of ledger.json, from which its pages are rendered."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hfkit.contract.view import to_columns, to_text
from hfkit.ledger.arguments import TRIALS
from hfkit.ledger.bench import SAMPLE_ROWS, Bench
from hfkit.ledger.budgets import find_crossovers
from hfkit.ledger.cells import Cell, Contender, Plan, Result, Results
from hfkit.ledger.comparison import Comparison
from hfkit.ledger.entries import headline_of
from hfkit.ledger.queue import Queue
from hfkit.ledger.runner import class_ids
from hfkit.ledger.schema import DIFFERENCE, SCHEMA
from hfkit.ledger.standing import Runs, Standing, standalone_cost
from hfkit.ledger.verdict import write_verdict
from hfkit.report.names import checkpoint_name, dataset_name
from hfkit.report.schema import to_finite, to_plain
from hfkit.runtime.machine import command_of, environment
from hfkit.runtime.redaction import withhold_secrets
from hfkit.scores.calibration import calibration
from hfkit.scores.evidence import Evidence, total
from hfkit.scores.score import headline_text
from hfkit.scores.statistics import HELD

MOST_DISAGREEMENTS = 12  # rows shown


def ledger_of(bench: Bench, contenders: list[Contender], queue: Queue, plan: Plan, test: str) -> dict[str, Any]:
    """The whole ledger of one test, as in `ledger.json` (see `ledger.schema`)."""
    runs = Runs(bench, queue, queue.cells(plan), test)
    skipped = {
        contender: next(iter(results.values())).reason
        for contender in contenders
        if (results := runs.cells_of(contender)) and all(result.status == "skipped" for result in results.values())
    }
    names = {contender: bench.describe(contender)[0] for contender in contenders}
    standing = Standing(runs, names, [contender for contender in contenders if runs.finished_cells(contender)])
    contest = standing.contest
    task, judge, checkpoint = bench.task, bench.task.judge, bench.recipe.checkpoint
    checkpoint = checkpoint_name(task.sample.checkpoint if checkpoint == "sample" else checkpoint)
    entries = [entry_of(standing, contender) for contender in standing.competing]
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
            "key": task.key,
            "name": task.tag,
            "headline": judge.headline.key,
            "unit": task.name_unit(runs.rows),
            "dataset": dataset_name(test),
            "scores": [score.to_json() for score in judge.scores],
        },
        "checkpoint": checkpoint,
        "rows": rows_of(bench, len(runs.rows)),
        "folds": folds_of(bench),
        "notes": notes_of(bench, test),
        "contenders": sorted(entries, key=lambda entry: -bench.sign * headline_of(entry)),
        "failed": [
            {
                "name": names[cell.contender],
                "seed": cell.seed,
                "reason": f"{cell.setting}: {result.reason}" if cell.setting else result.reason,
            }
            for cell, result in runs.results.items()
            if not result.ok and result.status != "pruned" and cell.contender not in skipped
        ],
        "skipped": [{"name": names[contender], "reason": reason} for contender, reason in skipped.items()],
        "chosen": contest.chosen,
        "pairs": {rival: difference_of(contest.decide(contest.names_of(rival))) for rival in ("scratch", "baseline")},
        "budgets": budgets_of(standing),
        "classes": classes_of(standing),
        "disagreements": disagreements_of(standing),
        "environment": environment(),
    }
    ledger["verdict"] = write_verdict(ledger)
    return withhold_secrets(to_finite(to_plain(ledger)))


def rows_of(bench: Bench, test: int) -> dict[str, int]:
    """The rows of each split; with folds those of a usual fold, and of test all that are held out."""
    numbers = {split: len(bench.rows[split]) for split in ("train", "validation")}
    if bench.folds is not None:
        first = bench.folds.numbers_of(bench.own.seeds[0], 0)
        numbers = {split: len(first[split]) for split in numbers}
    return {**numbers, "train_available": bench.available, "test": test}


def folds_of(bench: Bench) -> dict[str, int] | None:
    """How the rows were cross-validated; None if they were not."""
    folds = bench.folds
    return folds and {"count": folds.count, "repeats": len(bench.own.seeds), "held_out_test": folds.held_out or 0}


def entry_of(standing: Standing, contender: Contender) -> dict[str, Any]:
    """The part of the ledger about one contender."""
    runs, contest = standing.runs, standing.contest
    every, finished = runs.cells_of(contender), list(runs.finished_cells(contender).values())
    name, description = runs.bench.describe(contender)
    tried = {cell: runs.results[cell] for cell in runs.tuning_cells(contender) if cell in runs.results}
    # A trial of a search shares what frozen layers compute with the others: it costs less than a run by itself.
    alone = [result for cell, result in every.items() if result.ok and not runs.bench.is_trial(cell)]
    cost = mean_cost([standalone_cost(result) for result in alone or finished])
    spent = sum(result.cost["cpu_seconds"] for cell, result in tried.items() if cell not in every and result.cost)
    choices = len(every) if runs.bench.folds else 1  # each fold chooses for itself, and for its own run
    latencies = [result.latency_ms for result in finished if result.latency_ms is not None]
    return {
        "name": name,
        "kind": contender.kind,
        "description": description,
        "tuning": tuning_of(contender, runs, tried, every) if tried else None,
        "seeds": [seed_of(runs, cell, result) for cell, result in every.items()],
        "failed": len(every) - len(finished),
        "cost": {**cost, "tuning_cpu_seconds": float(spent / choices)},
        "parameters": finished[0].parameters,
        "trained_parameters": finished[0].trained_parameters,
        "latency_ms": float(np.median(latencies)) if latencies else None,
        "facts": finished[0].facts,
        "validation": contest.validation[name],
        **contest.scores[name],
        "difference": None if name == contest.chosen else difference_of(contest.difference(name, contest.chosen)),
        "calibration": calibration_of(runs, contender),
    }


def tuning_of(contender: Contender, runs: Runs, tried: Results, every: Results) -> dict[str, Any]:
    """The settings that were tried with the mean of their validation scores, and those chosen, by most folds.

    Args:
        tried: the runs among which validation chose.
        every: the runs that it chose.
    """
    groups: dict[tuple, list[Result]] = {}
    for cell, result in tried.items():
        groups.setdefault((cell.factor, cell.changes), []).append(result)
    rates = {(cell.factor, cell.changes): rate_of(contender, runs, cell) for cell in (*tried, *every)}
    chosen = Counter((cell.factor, cell.changes) for cell in every).most_common(1)[0][0]
    found = []
    for settings, results in groups.items():
        known = [result.validation for result in results if result.validation is not None]
        found.append(
            {
                "learning_rate": rates[settings],
                "validation": float(np.mean(known)) if known else None,
                "pruned": any(result.status == "pruned" for result in results),
                "changes": dict(settings[1] or ()),
            }
        )
    return {"tried": found, "chosen": rates[chosen], "changes": dict(chosen[1] or ())}


def mean_cost(costs: list[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every cost that was measured in all runs: machines differ in what they can measure."""
    return {key: float(np.mean([cost[key] for cost in costs])) for key in costs[0] if all(key in one for one in costs)}


def rate_of(contender: Contender, runs: Runs, cell: Cell) -> float:
    """The learning rate of the top block; of the head, if nothing else learns."""
    args = runs.bench.args_of(cell, Path("unused"))
    return args.head_learning_rate if args.unfreeze_stages == 0 and args.head_learning_rate else args.learning_rate


def seed_of(runs: Runs, cell: Cell, result: Result) -> dict[str, Any]:
    """The part of an entry about one seed."""
    place = {"seed": cell.seed, "fold": None if cell.fold is None else cell.fold + 1}
    if not result.ok:
        unknown = {"validation": None, "headline": None, "scores": {}, "curve": []}
        return {**place, "status": "failed", "reason": result.reason, **unknown}
    return {
        **place,
        "status": "ok",
        "reason": "it gives every row the same answer" if result.collapsed else "",
        "validation": result.validation,
        "headline": runs.headline(result),
        "scores": runs.scores(result),
        "curve": result.curve,
    }


def difference_of(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A difference with the keys that the pages know."""
    return facts and {key: facts[key] for key in (*DIFFERENCE, "of") if key in facts}


def calibration_of(runs: Runs, contender: Contender) -> dict[str, Any] | None:
    """The calibration of a contender's probabilities, by its first seed that ended well; None without any.

    None with folds too: each has a model, and a temperature, of its own.
    """
    if runs.bench.folds is not None:
        return None
    arrays = runs.queue.arrays(next(iter(runs.finished_cells(contender))))
    if "probabilities_test" not in arrays or "probabilities_validation" not in arrays:
        return None
    rows = runs.bench.rows
    validation = runs.bench.task.rows.references(rows["validation"])
    facts = calibration(
        arrays["probabilities_test"][runs.span],
        class_ids(runs.references, rows.labels),
        validation=(arrays["probabilities_validation"], class_ids(validation, rows.labels)),
    )
    return {
        "ece": facts["ece"],
        "ece_scaled": facts["tempered"]["ece"],
        "temperature": facts["temperature"],
        "bins": facts["bins"],
        "bins_scaled": facts["tempered"]["bins"],
    }


def budgets_of(standing: Standing) -> dict[str, Any] | None:
    """Score against labels for every contender, and where two curves cross; None without label budgets."""
    runs, names, competing = standing.runs, standing.names, standing.competing
    every = len(runs.bench.rows["train"])
    sizes = [size for size in sorted(runs.bench.own.label_budgets) if size < every]
    if not sizes or not competing:
        return None
    evidence: dict[int, dict[str, list[Evidence]]] = {}
    for size in (*sizes, None):
        of_size = {names[c]: seeds for c in competing if (seeds := runs.evidence(c, size))}
        evidence[every if size is None else size] = of_size
    scores = {rows: Comparison(of_size, units=runs.units).scores() for rows, of_size in evidence.items() if of_size}
    curves = [
        {
            "name": names[contender],
            "points": [
                {
                    "rows": rows,
                    "headline": of_size[names[contender]]["headline"],
                    "low": of_size[names[contender]]["interval"]["low"],
                    "high": of_size[names[contender]]["interval"]["high"],
                    "seeds": [total(one) for one in evidence[rows][names[contender]]],
                }
                for rows, of_size in scores.items()
                if names[contender] in of_size
            ],
        }
        for contender in competing
    ]
    by_name = {
        names[c]: {rows: of_size[names[c]] for rows, of_size in evidence.items() if names[c] in of_size}
        for c in competing
    }
    crossovers = find_crossovers(by_name, sign=runs.bench.sign, units=runs.units)["crossovers"]
    return {"curves": curves, "crossovers": [crossover_of(one) for one in crossovers if is_certain(one)]}


def is_certain(crossover: Mapping[str, Any]) -> bool:
    """Whether two curves cross, and the order at the largest budget, where the upper end is open, is beyond noise."""
    return crossover["rows"] is not None and crossover["high"] is not None


def crossover_of(crossover: Mapping[str, Any]) -> dict[str, Any]:
    """A certain crossing of two curves, with the keys that the pages know."""
    ahead, behind, rows = crossover["ahead"], crossover["behind"], crossover["rows"]
    ends = {"low": crossover["low"], "high": crossover["high"]}
    low = "fewer" if ends["low"] is None else round(ends["low"])
    high = round(ends["high"])
    text = f"{ahead} is ahead of {behind} from about {rows:,.0f} rows on ({low} to {high})"
    return {"a": ahead, "b": behind, "rows": rows, **ends, "text": text}


def classes_of(standing: Standing) -> dict[str, Any] | None:
    """F1 of every class by contender, for its first seed; None if the task has no classes."""
    runs, judge = standing.runs, standing.runs.bench.task.judge
    per_class = {
        standing.names[c]: judge.breakdown(answers, runs.references).get("per_class", {})
        for c, answers in standing.answers.items()
    }
    labels = sorted({label for of_one in per_class.values() for label in of_one})
    if not labels:
        return None
    scores = {name: [of_one.get(label, {}).get("f1") for label in labels] for name, of_one in per_class.items()}
    return {"labels": labels, "scores": scores, "metric": "f1"}


def disagreements_of(standing: Standing) -> list[dict[str, Any]]:
    """Rows that only one contender gets right, by their first seeds: contenders take turns, rows in their order."""
    runs, names, task, answers = standing.runs, standing.names, standing.runs.bench.task, standing.answers
    if len(answers) < 3:
        return []
    perfect = task.judge.evidence(task.judge.perfect_predictions(runs.references), runs.references)
    right = {c: ~task.judge.evidence(given, runs.references).differs(perfect) for c, given in answers.items()}
    rows = rows_worth_all(perfect, np.flatnonzero(np.sum(list(right.values()), axis=0) == 1))
    waiting = {c: rows[hits[rows]].tolist() for c, hits in right.items()}
    order = []
    for turn in range(max(map(len, waiting.values()))):
        order += [(c, of_one[turn]) for c, of_one in waiting.items() if turn < len(of_one)]
    disagreements = []
    for contender, row in order[:MOST_DISAGREEMENTS]:
        loaded = runs.rows[row]
        shown = to_columns(task.view.row(loaded))
        disagreements.append(
            {
                "row": row,
                "shown": shown["text"],
                "picture": shown["picture"] or None,
                "gold": to_text(task.view.answer(runs.references[row], loaded)),
                "right": names[contender],
                "answers": {names[c]: to_text(task.view.answer(of_one[row], loaded)) for c, of_one in answers.items()},
            }
        )
    return disagreements


def rows_worth_all(perfect: Evidence, rows: np.ndarray) -> np.ndarray:
    """The rows, among some, whose perfect answers alone reach the perfect headline, (k,).

    Being right about any other shows nothing: a row in which there is nothing to find, or a single number, which
    correlates with nothing.

    Args:
        perfect: evidence of perfect predictions.
        rows: their numbers.
    """
    whole, found = total(perfect), [np.zeros(0, dtype=int)]
    # In portions, for there is a weight for every pair of rows.
    for some in np.array_split(rows, 1 + len(rows) * perfect.rows // HELD):
        weights = np.zeros((len(some), perfect.rows))
        weights[np.arange(len(some)), some] = 1
        found.append(some[np.abs(perfect.headline(weights) - whole) < 1e-9])
    return np.concatenate(found)


def notes_of(bench: Bench, test: str) -> list[str]:
    """Sentences on the origin of the rows, which a reader must know."""
    used, available, own = len(bench.rows["train"]), bench.available, bench.own
    notes = []
    if used < available:
        notes.append(f"{used:,} of {available:,} training rows.")
    if bench.task.dataset == "sample":
        start = "The bundled sample is synthetic; of its" if bench.task.sample.synthetic else "Of the bundled sample's"
        notes.append(f"{start} rows {SAMPLE_ROWS} are trained on unless told otherwise.")
    if test != next(iter(bench.spans)):
        notes.append(f"Trained and validated on {next(iter(bench.spans))}, judged on the test rows of {test}.")
    if bench.folds is not None:
        notes.append(fold_note(bench))
    if bench.search is not None:
        notes.append(search_note(bench))
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


def search_note(bench: Bench) -> str:
    """How settings were searched, in a sentence or more."""
    own = bench.own
    ways = {
        "random": "drawn at random",
        "optuna": "of which each goes by the results of those before (Optuna's tree-structured Parzen estimator), and"
        " is ended if it falls behind their median",
    }
    return (
        f"Settings of each strategy are the best on validation of {own.trials or TRIALS} trials with seed"
        f" {own.seeds[0]}, {ways[own.tuner]}; the first is the strategy as it is."
    )


def fold_note(bench: Bench) -> str:
    """How the rows were cross-validated, in a sentence or more."""
    folds, seeds = bench.folds, len(bench.own.seeds)
    units = (
        "rows" if folds.units is None else f"{folds.independent:,} units or groups of equal inputs, which stay whole"
    )
    repeats = f", drawn anew for each of {seeds} seeds" if seeds > 1 else ""
    apart = f" The {folds.held_out:,} test rows of the dataset were not looked at." if folds.held_out else ""
    return (
        f"Cross-validation: {folds.count} folds of {units}{repeats}, the same for all contenders. Each fold is judged"
        f" on the rows that it holds out, and draws its validation rows, and chooses learning rates, from the"
        f" others.{apart}"
    )


def table_of(ledger: Mapping[str, Any]) -> Any:
    """The contenders as a `rich` table for the console."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    score = headline_text(ledger["task"]["headline"], ledger["task"]["scores"])
    title = f"{score} on {ledger['rows']['test']:,} test rows of {ledger['task']['dataset']}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("contender", overflow="fold", min_width=16)
    for heading in ("mean", "95 % interval", "sd of seeds", "CPU s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in ledger["contenders"]:
        spread = "" if entry["spread"] is None else f"{entry['spread']:.3f}"
        interval = f"[{entry['interval']['low']:.3f}, {entry['interval']['high']:.3f}]"
        cells = (f"{entry['headline']:.3f}", interval, spread, f"{entry['cost']['cpu_seconds']:,.1f}")
        table.add_row(Text(entry["name"] + (" (chosen)" if entry["name"] == ledger["chosen"] else "")), *cells)
    return table
