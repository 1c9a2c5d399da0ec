"""The end of a run: every contender scored on the same test rows, written as report.json, report.md and report.html.

report.json is the record (its keys: `schema`); the other two are rendered from it and from nothing else.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.contract.abilities import Personal
from hfkit.contract.task import Loaded, Task
from hfkit.contract.view import Boxes, Example, Mask, Picture, Text, to_text
from hfkit.errors import UserError
from hfkit.progress import progress
from hfkit.report.drawings import draw_boxes, draw_mask
from hfkit.report.origins import base_origin, dataset_origin
from hfkit.report.pages import clip, interval_text, render_page, score_text, signed_text, words
from hfkit.report.schema import SCHEMA, to_finite, to_plain, validate
from hfkit.report.snippets import write_snippets
from hfkit.runtime.durable import write_file
from hfkit.runtime.machine import command, environment, measure
from hfkit.runtime.redaction import withhold_secrets
from hfkit.scores.evidence import Evidence, total
from hfkit.scores.score import Score
from hfkit.scores.statistics import bootstrap_interval, clearly_different, holm, paired_difference

if TYPE_CHECKING:
    from hfkit.baselines.base import Baseline

MOST_ERRORS = 20
MOST_LABELS = 40  # with an example each
MOST_LETTERS = 160  # of an example, and half as many of the text around it
COSTS = ("wall_seconds", "cpu_seconds", "peak_memory_mib")


class Report:
    """Scores every contender on the same test rows by the task's own judge, and says who is better.

    The first contender added is the subject of the report: the others are compared with it, and the scores per class
    and the mistakes shown are its own.

    Args:
        rows: from `task.load`; contenders answer its test split.
        encoded_facts: by split, what the codec says of its encoded rows (see `Codec.facts`).
        settings: every flag with its resolved value.
        seed: of the resampling.
        active: False where another process writes the report: nothing is scored, run or saved here.
    """

    def __init__(
        self,
        task: Task,
        rows: Loaded,
        *,
        encoded_facts: Mapping[str, Mapping[str, Any]] | None = None,
        settings: dict[str, Any],
        seed: int = 0,
        active: bool = True,
    ) -> None:
        self.task, self.rows, self.encoded_facts = task, rows, encoded_facts or {}
        self.settings, self.seed, self.active = settings, seed, active
        self.references = task.rows.references(rows["test"])
        self.units = task.units(rows["test"])
        self.contenders: list[dict[str, Any]] = []
        self.training: dict[str, Any] | None = None
        self.pictures: list[dict[str, str]] = []
        self.explained: list[dict[str, Any]] = []
        self._evidence: Evidence | None = None  # of the first contender, by unit
        self._predictions: list = []  # of the first contender

    def add_training(
        self,
        *,
        plan: list[dict],
        log_history: list[dict],
        cost: dict[str, float],
        invariants: dict[str, Any],
        extended: Sequence[dict] = (),
    ) -> None:
        """Record how the model was trained: plan by stages, the trainer's log, what it cost, what was checked.

        Args:
            extended: where a finished run went on for more epochs: `step` and `epochs` that lay behind each time.
        """
        epochs_and_rates = ("from_epoch", "share", "lowest_learning_rate", "highest_learning_rate")
        self.training = {
            "plan": [{**to_plain(row), **{key: float(row[key]) for key in epochs_and_rates}} for row in plan],
            "log_history": to_finite(to_plain(log_history)),
            "cost": _costs(cost, "training"),
            "invariants": to_finite(to_plain(invariants)),
        }
        if extended:
            self.training["extended"] = to_plain(list(extended))

    def show(self, pictures: list[dict[str, str]]) -> None:
        """Show augmented training samples in the report.

        Args:
            pictures: `picture`, a data URI of a PNG or JPEG, and `label`, of each.
        """
        self.pictures = to_plain(pictures)

    def explain(self, mistakes: list[dict[str, Any]]) -> None:
        """Show what wrong answers of the first contender rest on (see `explain_mistakes`).

        Args:
            mistakes: the `row` of test, `confidence`, `picture` and the same under a map (`looked_at`), `gold` and
                `predicted` of each.
        """
        self.explained = [{**one, "row": self._row_as_it_came(one["row"])} for one in to_plain(mistakes)]

    def add(self, name: str, predictions: list, *, cost: dict[str, float], description: str = "") -> None:
        """Score a contender's answers to the test rows, one per row in order.

        Args:
            cost: `wall_seconds`, `cpu_seconds`, `peak_memory_mib`, and others where they were measured.

        Raises:
            ValueError: another number of answers than rows, a name used twice, or a score that is not finite.
        """
        if self.active:
            self._score(name, predictions, cost, description, baseline=False)

    def judge(self, *baselines: "Baseline") -> None:
        """Run baselines on the test rows one after the other, measure what each costs, and score it."""
        for baseline in baselines if self.active else ():
            with progress(f"Baseline {baseline.name}"):
                with measure() as cost:
                    answers = baseline.answers(self.task, self.rows)
                description = "; ".join([baseline.description, *prompt_warnings(answers.facts)])
                self._score(baseline.name, answers.predictions, cost, description, baseline=True)

    def _score(
        self, name: str, predictions: list, cost: Mapping[str, float], description: str, *, baseline: bool
    ) -> None:
        if len(predictions) != len(self.references):
            raise ValueError(f"{name}: {len(predictions)} answers to {len(self.references)} test rows")
        if name in [contender["name"] for contender in self.contenders]:
            raise ValueError(f"{name}: a contender of that name was added before")
        judge = self.task.judge
        scores = {key: float(score) for key, score in judge.score(predictions, self.references).items()}
        wrong = [f"{key} is {score}" for key, score in scores.items() if not math.isfinite(score)]
        if wrong:
            raise ValueError(f"{name}: {', '.join(wrong)}; only finite scores are reported")
        evidence, key = judge.evidence(predictions, self.references), judge.headline.key
        if not math.isclose(scores[key], total(evidence), abs_tol=1e-9):
            raise ValueError(
                f"{name}: score() says {key} {scores[key]}, the evidence says {total(evidence)}:"
                " the interval would be that of another number"
            )
        evidence = evidence.by_unit(self.units)
        if self._evidence is None:
            self._evidence, self._predictions, difference = evidence, predictions, None
        else:
            pair = paired_difference(evidence, self._evidence, seed=self.seed)
            difference = {"to": self.contenders[0]["name"], **pair}
        self.contenders.append(
            {
                "name": to_plain(name),
                "description": to_plain(description),
                "baseline": baseline,
                "scores": scores,
                "headline": scores[key],
                "interval": asdict(bootstrap_interval(evidence, seed=self.seed)),
                "cost": _costs(cost, name),
                "difference": difference,
            }
        )

    def facts(self) -> dict[str, Any]:
        """The whole report as plain values, as report.json holds it.

        Raises:
            ValueError: no contender was added, or something in it is not what `schema` describes.
        """
        if self._evidence is None:
            raise ValueError("a report needs at least one contender: call add() or judge() first")
        task, judge, test = self.task, self.task.judge, self.rows["test"]
        mistakes = task.view.mistakes(self._predictions, self.references, test, MOST_ERRORS)
        examples = task.view.examples(self.rows.splits.get("train", test), MOST_LABELS)
        examples = {label: shorten(example) for label, example in examples.items()}
        unit = words(task.name_unit(test))
        data, origin = to_plain(self._data()), to_plain(self._origin())
        report = {
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": to_plain(command()),
            "seed": self.seed,
            "settings": to_finite(to_plain(self._settings_to_show())),
            "task": {
                "key": task.key,
                "name": task.tag,
                "headline": judge.headline.key,
                "unit": unit,
                "dataset": to_plain(task.dataset),
                "scores": [score.to_json() for score in judge.scores],
            },
            "rows": len(self.references),
            "data": data,
            "origin": origin,
            "examples": to_plain({label: example.to_json() for label, example in examples.items()}),
            "snippets": write_snippets(
                task, self.rows.target, list(examples.values()), data, settings=self.settings, base=origin["base"]
            ),
            "contenders": self.contenders,
            "verdict": state_verdict(self.contenders, judge.headline, unit, self._evidence.rows),
            "training": self.training,
            "breakdown": to_plain(judge.breakdown(self._predictions, self.references)) or None,
            "errors": to_plain(
                [{**mistake.to_json(), "row": self._row_as_it_came(mistake.row)} for mistake in mistakes]
            ),
            "pictures": self.pictures,
            **({"explained": self.explained} if self.explained else {}),
            "environment": environment(),
        }
        if isinstance(task.rows, Personal) and not task.rows.shows_pictures:
            report = withhold_pictures(report)
        # All of it: a row with a token may end among the errors as well as among the examples.
        report = withhold_secrets(report)
        validate(report)
        return report

    def _row_as_it_came(self, row: int) -> int:
        """The number of a test row in the split of the dataset that it came from, where a reader can look it up."""
        draw = self.rows.draw
        return row if draw is None else int(draw.origins["test"].rows[row])

    def _data(self) -> dict[str, Any]:
        facts = self.task.rows.facts(self.rows.splits)
        by_split = {split: {**facts.pop(split, {}), **self.encoded_facts.get(split, {})} for split in self.rows.splits}
        return {
            "dataset": self.task.dataset,
            "synthetic": self.task.dataset == "sample" and self.task.sample.synthetic,
            **facts,
            "labels": self.rows.labels,
            **({"split": dict(self.rows.draw.facts)} if self.rows.draw and self.rows.draw.facts else {}),
            **({"notes": list(self.rows.notes)} if self.rows.notes else {}),
            **({"agreement": self.rows.people} if self.rows.people else {}),
            **by_split,
        }

    def _origin(self) -> dict[str, Any]:
        task = self.task
        return {
            "base": base_origin(self._settings_to_show()),
            "dataset": dataset_origin(task.dataset, task.dataset_revision, task.sample.origin()),
        }

    def _settings_to_show(self) -> dict[str, Any]:
        # 'sample' is another checkpoint for every task, and a page should not have to know which.
        sampled = self.settings.get("checkpoint") == "sample"
        return {**self.settings, "checkpoint": self.task.sample.checkpoint} if sampled else self.settings

    def save(self, folder: str | Path) -> Path:
        """Write report.json, report.md and report.html to `folder` and return the path of the last.

        Each file appears whole or not at all.

        Raises:
            UserError: the folder cannot be written.
        """
        if self.active:
            write_files(Path(folder), render(self.facts()))
        return Path(folder) / "report.html"

    def table(self) -> Any:
        """The contenders as a `rich` table for the console."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        score = self.task.judge.headline.title
        # Without a frame it fits a terminal of 80 columns.
        table = Table(
            title=f"{score} on {len(self.references):,} test rows",
            title_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 0, 0, 1),
        )
        table.add_column("contender", overflow="fold", min_width=16)
        # A long name takes two lines, not a wide column.
        for heading in ("\n".join(score.split()), "95 % interval", "difference", "wall s", "CPU s", "MiB"):
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


def withhold_pictures(report: dict[str, Any]) -> dict[str, Any]:
    """A report without the pictures of its rows."""
    errors = [
        {**error, "picture": "", "text": "(picture withheld)"} if "picture" in error else error
        for error in report["errors"]
    ]
    kept = {key: value for key, value in report.items() if key != "explained"}
    return {**kept, "examples": {}, "errors": errors, "pictures": []}


def state_verdict(contenders: Sequence[Mapping[str, Any]], score: Score, unit: str, rows: int) -> str:
    """How the first contender compares with the baselines, in words that the intervals support, and at what cost.

    Every baseline is tested, p corrected for their number (Holm 1979): where one does better, the best of these is
    named; where none does, the best of those that cannot be told apart; where it beats all, the best of all. Without a
    baseline, the others are taken.

    Args:
        score: the headline.
        rows: units that were resampled.
    """
    first, *others = contenders
    others = [other for other in others if other["baseline"]] or others
    if not others:
        interval = interval_text(first["interval"])
        return f"{first['name']} reaches {score.title} {score_text(first['headline'])} {interval}."
    corrected = dict(zip((id(one) for one in others), holm([one["difference"]["p"] for one in others]), strict=True))

    def is_different(one: Mapping[str, Any]) -> bool:
        return clearly_different(one["difference"] | {"p": corrected[id(one)]})

    def rank(one: Mapping[str, Any]) -> tuple[bool, bool, float]:
        # One that does better decides; then one that cannot be told apart. The highest score is not always either.
        ahead = score.sign * one["difference"]["difference"] > 0
        return is_different(one) and ahead, not is_different(one), score.sign * one["headline"]

    best = max(others, key=rank)
    which = "best " if score.best(others, lambda one: one["headline"]) is best else ""
    rival = f"the {which}{'baseline' if best['baseline'] else 'other contender'} ({best['name']})"
    pair, p = best["difference"], corrected[id(best)]
    # The pair is the rival's lead over the first; turned round, it is the first's over the rival.
    lead, ahead = -pair["difference"], {"low": -pair["high"], "high": -pair["low"]}
    cost = f"It cost {first['cost']['cpu_seconds']:,.1f} CPU seconds against {best['cost']['cpu_seconds']:,.1f}."
    if not is_different(best):
        outside = pair["low"] > 0 or pair["high"] < 0
        test = (
            f"randomisation test, corrected for {len(others)} comparisons," if len(others) > 1 else "randomisation test"
        )
        alone = f" The interval alone would tell them apart, the {test} does not." if outside else ""
        return (
            f"{first['name']} and {rival} cannot be told apart on {rows:,} test {unit}{'s' if rows > 1 else ''}:"
            f" the difference in {score.title} is {signed_text(lead)} {interval_text(ahead)}, p = {p:.2f}."
            f"{alone} {cost}"
        )
    distance = f"{score_text(abs(lead))} {interval_text(ahead if lead > 0 else pair)} {score.title}"
    side = f"{first['name']} is {distance} {'above' if lead > 0 else 'below'} {rival}"
    if lead * score.sign > 0:
        return f"{side}. {cost}"
    return f"{side}, which does better on these rows. {cost}"


def shorten(example: Example) -> Example:
    """An example with no more text than shows what its label means, since whole rows belong to whoever made them.

    Secrets are withheld before a cut could leave half of one.
    """
    before, after = (withhold_secrets(to_plain(text)) for text in (example.before, example.after))
    shown, around = example.shown, MOST_LETTERS // 2
    if isinstance(shown, Boxes):
        shown = Picture(draw_boxes(shown))  # a card shows files, in which nothing can be laid over a picture
    if isinstance(shown, Mask):
        shown = Picture(draw_mask(shown))
    if not isinstance(shown, Picture):
        shown = Text(clip(withhold_secrets(to_plain(to_text(shown))), MOST_LETTERS))
    return Example(shown, clip(before[::-1], around)[::-1], clip(after, around))


def prompt_warnings(facts: Mapping[str, Any]) -> list[str]:
    """Caveats of a prompt's score: how far other orders of its examples move it, and how much was unreadable."""
    warnings = []
    for way, spread in facts.get("orders", {}).items():
        if len(spread["headlines"]) > 1:
            low, high = score_text(spread["min"]), score_text(spread["max"])
            warnings.append(f"{way}, {len(spread['headlines'])} orders of the examples score {low} to {high}")
    if facts.get("unparseable"):
        warnings.append(f"{facts['unparseable']:.1%} of its answers could not be read")
    return warnings


def render(report: dict[str, Any]) -> dict[str, str]:
    """A valid report's files by name: the record itself, and the two pages made from it."""
    return {
        "report.json": json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "report.md": render_page("report.md.j2", report),
        "report.html": render_page("report.html.j2", report),
    }


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts by name to `folder`, each whole or not at all.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_file(folder / name, text)
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
