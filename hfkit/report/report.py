"""The end of a run: every contender scored on the same test rows, written as report.json, report.md and report.html.

report.json is the record (its keys: `schema`); the other two are rendered from it and from nothing else.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict

from hfkit.contract.task import Task
from hfkit.errors import UserError
from hfkit.progress import progress
from hfkit.report.origins import base_origin, dataset_origin
from hfkit.report.pages import clipped, interval_text, page, score_text, signed_text, words
from hfkit.report.schema import SCHEMA, finite, plain, validate
from hfkit.runtime.folders import write_page
from hfkit.runtime.machine import command, environment, measured
from hfkit.runtime.redaction import without_secrets
from hfkit.scores.score import headline_text
from hfkit.scores.statistics import bootstrap_interval, by_unit, clearly_different, paired_difference

MOST_ERRORS = 20
MOST_LABELS = 40  # with an example each
MOST_LETTERS = 160  # of an example, and half as many of what stands around it
COSTS = ("wall_seconds", "cpu_seconds", "peak_memory_mib")


class Report:
    """Collects what a run found out, scores every contender by the task's own `score`, and says who is better.

    The first contender added is the one the report is about: the others are compared with it, and the scores per class
    and the errors are its own.

    Args:
        dataset: what `task.load` gave; contenders answer its test split.
        prepared: what `task.prepare` gave, of some splits or all, for the facts that only it knows.
        settings: every flag with its resolved value.
        labels: what the model knows, where the data need not have all of it.
        seed: of the resampling.
    """

    def __init__(
        self,
        task: Task,
        dataset: DatasetDict,
        *,
        prepared: Mapping[str, Dataset] | None = None,
        settings: dict[str, Any],
        labels: list[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.labels = labels
        self.task, self.dataset, self.prepared = task, dataset, prepared
        self.settings, self.seed = settings, seed
        self.references = task.references(dataset["test"])
        self.units = task.units(dataset["test"])
        self.contenders: list[dict[str, Any]] = []
        self.training: dict[str, Any] | None = None
        self.pictures: list[dict[str, str]] = []
        self._tallies: np.ndarray | None = None  # of the first contender, (units, counts)
        self._predictions: list = []  # of the first contender

    def trained(
        self, *, plan: list[dict], log_history: list[dict], cost: dict[str, float], invariants: dict[str, Any]
    ) -> None:
        """Take down how the model was trained: plan by stages, the trainer's log, what it cost, what was checked."""
        epochs_and_rates = ("from_epoch", "share", "lowest_learning_rate", "highest_learning_rate")
        self.training = {
            "plan": [{**plain(row), **{key: float(row[key]) for key in epochs_and_rates}} for row in plan],
            "log_history": finite(plain(log_history)),
            "cost": _costs(cost, "training"),
            "invariants": finite(plain(invariants)),
        }

    def show(self, pictures: list[dict[str, str]]) -> None:
        """Keep augmented training samples, for the reader's eye.

        Args:
            pictures: `picture`, a data URI of a PNG or JPEG, and `label`, of each.
        """
        self.pictures = plain(pictures)

    def add(self, name: str, predictions: list, *, cost: dict[str, float], description: str = "") -> None:
        """Score a contender's answers to the test rows, one per row in order.

        Args:
            cost: `wall_seconds`, `cpu_seconds`, `peak_memory_mib`, and others where they were measured.

        Raises:
            ValueError: another number of answers than rows, a name used twice, or a score that is not finite.
        """
        self._score(name, predictions, cost, description, baseline=False)

    def judge(self, baseline: Any) -> None:
        """Run a baseline (`hfkit.baselines.base.Baseline`) on the test rows, measure what that costs, and score it."""
        with progress(f"Baseline {baseline.name}"):
            with measured() as cost:
                answers = baseline.answers(self.task, self.dataset)
            description = "; ".join([baseline.description, *warnings_of(answers.facts)])
            self._score(baseline.name, answers.predictions, cost, description, baseline=True)

    def _score(
        self, name: str, predictions: list, cost: Mapping[str, float], description: str, *, baseline: bool
    ) -> None:
        if len(predictions) != len(self.references):
            raise ValueError(f"{name}: {len(predictions)} answers to {len(self.references)} test rows")
        if name in [contender["name"] for contender in self.contenders]:
            raise ValueError(f"{name}: a contender of that name was added before")
        scores = {key: float(score) for key, score in self.task.score(predictions, self.references).items()}
        wrong = [f"{key} is {score}" for key, score in scores.items() if not math.isfinite(score)]
        if wrong:
            raise ValueError(f"{name}: {', '.join(wrong)}; only finite scores are reported")
        tallies = self.task.tallies(predictions, self.references)
        headline, summed = scores[self.task.headline], float(self.task.headline_of(tallies.sum(axis=0)))
        if not math.isclose(headline, summed, abs_tol=1e-9):
            raise ValueError(
                f"{name}: score() says {self.task.headline} {headline}, the tallies say {summed}:"
                " the interval would be that of another number"
            )
        tallies = by_unit(tallies, self.units)
        if self._tallies is None:
            self._tallies, self._predictions, difference = tallies, predictions, None
        else:
            pair = paired_difference(tallies, self._tallies, self.task.headline_of, seed=self.seed)
            difference = {"to": self.contenders[0]["name"], **pair}
        self.contenders.append(
            {
                "name": plain(name),
                "description": plain(description),
                "baseline": baseline,
                "scores": scores,
                "headline": headline,
                "interval": asdict(bootstrap_interval(tallies, self.task.headline_of, seed=self.seed)),
                "cost": _costs(cost, name),
                "difference": difference,
            }
        )

    def facts(self) -> dict[str, Any]:
        """The whole report as plain values, as report.json holds it.

        Raises:
            ValueError: no contender was added, or something in it is not what `schema` describes.
        """
        if not self.contenders:
            raise ValueError("a report needs at least one contender: call add() or judge() first")
        breakdown = self.task.breakdown(self._predictions, self.references)
        errors = self.task.errors(self._predictions, self.references, self.dataset["test"], MOST_ERRORS)
        unit = self.task.unit if self.units is None else words(self.task.unit_column)
        data, learnt = self.task.describe(self.dataset, self.prepared), self.dataset.get("train", self.dataset["test"])
        if self.labels is not None:
            data["labels"] = self.labels
        report = {
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": plain(command()),
            "seed": self.seed,
            "settings": finite(plain(self._resolved())),
            "task": {
                "name": self.task.name,
                "headline": self.task.headline,
                "unit": unit,
                "dataset": plain(self.task.dataset),
            },
            "rows": len(self.references),
            "data": plain(data),
            "origin": plain(self._origin()),
            "examples": shortened(plain(self.task.examples(learnt, MOST_LABELS))),
            "contenders": self.contenders,
            "verdict": verdict(self.contenders, self.task.headline, unit, len(self._tallies)),
            "training": self.training,
            "breakdown": plain(breakdown) or None,
            "errors": plain(errors),
            "pictures": self.pictures,
            "environment": environment(),
        }
        # All of it: a row with a token may end among the errors as well as among the examples.
        report = without_secrets(report)
        validate(report)
        return report

    def _origin(self) -> dict[str, Any]:
        revision = self.task.dataset_revision
        return {
            "base": base_origin(self._resolved()),
            "dataset": dataset_origin(self.task.dataset, revision, self.task.name),
        }

    def _resolved(self) -> dict[str, Any]:
        # 'sample' is another checkpoint for every task, and a page should not have to know which.
        sampled = self.settings.get("checkpoint") == "sample"
        return {**self.settings, "checkpoint": self.task.sample} if sampled else self.settings

    def save(self, folder: str | Path) -> Path:
        """Write report.json, report.md and report.html to `folder` and return the path of the last.

        Each file appears whole or not at all. In a run of several processes only one of them should call this.

        Raises:
            UserError: the folder cannot be written.
        """
        write_files(Path(folder), render(self.facts()))
        return Path(folder) / "report.html"

    def table(self) -> Any:
        """The contenders as a `rich` table for the console."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        # A long name takes two lines, not a wide column.
        score, narrow = headline_text(self.task.headline), "\n".join(headline_text(self.task.headline).split())
        # Without a frame it fits a terminal of 80 columns.
        table = Table(
            title=f"{score} on {len(self.references):,} test rows",
            title_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 0, 0, 1),
        )
        table.add_column("contender", overflow="fold", min_width=16)
        for heading in (narrow, "95 % interval", "difference", "wall s", "CPU s", "MiB"):
            table.add_column(heading, justify="right", no_wrap=True)
        for contender in self.contenders:
            cost = contender["cost"]
            table.add_row(
                Text(contender["name"]),  # Text: a name is not rich's markup
                score_text(contender["headline"]),
                interval_text(contender["interval"]),
                signed_text(contender["difference"]["difference"]) if contender["difference"] else "",
                *(f"{cost[key]:,.{digits}f}" for key, digits in zip(COSTS, (1, 1, 0), strict=True)),
            )
        return table


def verdict(contenders: Sequence[Mapping[str, Any]], headline: str, unit: str, rows: int) -> str:
    """How the first contender does against the best baseline, in words the interval bears, and at what cost.

    Without a baseline it is compared with the best of the others.
    """
    first, *others = contenders
    others = [other for other in others if other["baseline"]] or others
    score = headline_text(headline)
    if not others:
        return f"{first['name']} reaches {score} {score_text(first['headline'])} {interval_text(first['interval'])}."
    best = max(others, key=lambda contender: contender["headline"])
    rival = f"the best {'baseline' if best['baseline'] else 'other contender'} ({best['name']})"
    pair = best["difference"]
    # The pair is the rival's lead over the first; turned round, it is the first's over the rival.
    lead, ahead = -pair["difference"], {"low": -pair["high"], "high": -pair["low"]}
    cost = f"It cost {first['cost']['cpu_seconds']:,.1f} CPU seconds against {best['cost']['cpu_seconds']:,.1f}."
    if not clearly_different(pair):
        alone = " The interval alone would tell them apart, the randomisation test does not."
        return (
            f"{first['name']} and {rival} cannot be told apart on {rows:,} test {unit}{'s' if rows > 1 else ''}:"
            f" the difference in {score} is {signed_text(lead)} {interval_text(ahead)}, p = {pair['p']:.2f}."
            f"{alone if pair['low'] > 0 or pair['high'] < 0 else ''} {cost}"
        )
    if lead > 0:
        return f"{first['name']} is {score_text(lead)} {interval_text(ahead)} {score} above {rival}. {cost}"
    return (
        f"{first['name']} is {score_text(-lead)} {interval_text(pair)} {score} below {rival},"
        f" which does better on these rows. {cost}"
    )


def shortened(examples: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Examples with no more of their texts than tells what a label means: whole rows belong to who made them."""
    around = MOST_LETTERS // 2
    return {
        label: {
            "before": clipped(example["before"][::-1], around)[::-1],
            "text": clipped(example["text"], MOST_LETTERS),
            "after": clipped(example["after"], around),
            "picture": example["picture"],
        }
        for label, example in examples.items()
    }


def warnings_of(facts: Mapping[str, Any]) -> list[str]:
    """What a reader must know of a prompt's score: how far another order moves it, and how much was unreadable."""
    found = []
    for way, spread in facts.get("orders", {}).items():
        if len(spread["headlines"]) > 1:
            low, high = score_text(spread["min"]), score_text(spread["max"])
            found.append(f"{way}, {len(spread['headlines'])} orders of the examples score {low} to {high}")
    if facts.get("unparseable"):
        found.append(f"{facts['unparseable']:.1%} of its answers could not be read")
    return found


def render(report: dict[str, Any]) -> dict[str, str]:
    """A report's files by name: the record itself, and the two pages made from it.

    Raises:
        ValueError: `report` is not what `schema` describes.
    """
    validate(report)
    return {
        "report.json": json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "report.md": page("report.md.j2", report),
        "report.html": page("report.html.j2", report),
    }


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts by name to `folder`, each whole or not at all.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_page(folder / name, text)
    except OSError as error:
        raise UserError(
            f"output_dir '{folder}'",
            f"the report could not be written there ({error.strerror})",
            "Give a folder that can be written, with room on its disk",
        ) from error


def _costs(cost: Mapping[str, float], owner: str) -> dict[str, float]:
    costs = {key: float(value) for key, value in cost.items()}
    missing = [key for key in COSTS if not math.isfinite(costs.get(key, math.nan))]
    if missing:
        raise ValueError(f"{owner}: the cost lacks {', '.join(missing)}")
    return costs
