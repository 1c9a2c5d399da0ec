"""Any causal language model asked for the answers, without demonstrations or after some: nothing is trained."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from accelerate import PartialState
from datasets import Dataset, DatasetDict
from scipy.special import log_softmax, logsumexp

from hfkit.baselines.base import Answers, Baseline, targets_of
from hfkit.baselines.logits import refuse_alike
from hfkit.baselines.prompting.completions import completions
from hfkit.baselines.prompting.demonstrations import Draw, nearest_rows
from hfkit.baselines.prompting.label_texts import label_texts, read_label_texts
from hfkit.baselines.prompting.language_models import load_language_model, longest_prompt
from hfkit.baselines.prompting.layout import Fitted, Layout
from hfkit.baselines.prompting.scoring import Scorer
from hfkit.contract.task import Prompt, Task
from hfkit.errors import UserError

log = logging.getLogger(__name__)

CONTENT_FREE = ("N/A", "", "[MASK]")  # of Zhao et al. 2021
VALIDATION_ROWS = 100  # that say whether calibration helps
ANSWERS_READ = 1000  # training rows that say how long a written answer may be


@dataclass(frozen=True)
class ZeroShotPrompt(Baseline):
    """The likeliest answer after an instruction, by the mean log-probability of its tokens.

    Where a task has no answers to choose from, the model writes one, and `Task.answer` reads it.

    Each answer's probability may be divided by the one that it gets for inputs without content (contextual
    calibration: Zhao et al. 2021, "Calibrate Before Use"); validation decides, by rows that no prompt shows.
    """

    prompt_checkpoint: str
    label_texts: str | None = None  # JSON, see `label_texts.read_label_texts`

    name: ClassVar[str] = "zero-shot prompt"
    description: ClassVar[str] = "the likeliest answer of a language model after an instruction"

    def answers(self, task: Task, dataset: DatasetDict) -> Answers:
        """The answers of the first order of demonstrations; `facts` have the headline of every order."""
        labels = task.labels(dataset)
        dataset = DatasetDict(dataset | {"validation": spread_over(dataset["validation"], VALIDATION_ROWS)})
        names = task.prompt_names(labels)
        texts = dict(zip(names, label_texts(names, read_label_texts(self.label_texts)), strict=True))
        # Before anything is loaded: a task that a prompt cannot do says so here.
        chooses = bool(task.prompt(dataset["test"][0], texts, ()).options)
        picks = self.picks(task, dataset, texts, balanced=chooses)
        model, tokenizer = load_language_model(self.prompt_checkpoint)
        layout = Layout(tokenizer)
        asked = Asked(task, dataset, texts, layout, Scorer(model.to(PartialState().device)))
        found = chosen_answers(asked, picks, labels) if chooses else written_answers(asked, picks)
        left_out = asked.left_out
        if left_out["prompts_shortened"] or left_out["prompts_cut"]:
            log.warning(
                "%s: of %d prompts %d lost examples and %d the beginning of the instruction, to fit %d tokens.",
                self.name,
                left_out["prompts"],
                left_out["prompts_shortened"],
                left_out["prompts_cut"],
                asked.longest,
            )
        return found._replace(
            facts={
                "prompt_checkpoint": self.prompt_checkpoint,
                "layout": "chat" if layout.is_chat else "plain text",
                "demonstrations": len(picks["test"][0][0]),
                **found.facts,
                **left_out,
            }
        )

    def picks(
        self, task: Task, dataset: DatasetDict, texts: Mapping[str, str], *, balanced: bool
    ) -> dict[str, list[list[tuple]]]:
        """Of each split, of each order, the training rows that are shown to every query: none."""
        return {"test": [[()] * len(dataset["test"])], "validation": [[()] * len(dataset["validation"])]}


@dataclass(frozen=True)
class FewShotPrompt(ZeroShotPrompt):
    """The same after training rows with their answers, which the prompt shows first."""

    shots: int = 4  # of every class where balanced, else of a prompt
    demonstrations: str | None = None  # balanced, random or nearest; None: balanced where a row has one class
    orders: int = 5  # draws of the demonstrations, whose spread the facts have
    checkpoint: str = "sample"  # the encoder that says which rows are nearest

    name: ClassVar[str] = "few-shot prompt"
    description: ClassVar[str] = "the likeliest answer of a language model after some training rows with theirs"

    def __post_init__(self) -> None:
        for name, value in (("shots", self.shots), ("prompt_orders", self.orders)):
            if value < 1:
                raise UserError(f"{name}={value}", "it is a count, at least 1", "Leave it out, or set 1 or more")

    def picks(
        self, task: Task, dataset: DatasetDict, texts: Mapping[str, str], *, balanced: bool
    ) -> dict[str, list[list[tuple]]]:
        """Of each split, of each order, the training rows that are shown to every query: of validation, one order."""
        kind = self.demonstrations or ("balanced" if balanced else "random")
        if kind == "balanced" and not balanced:
            raise UserError(
                "demonstrations=balanced",
                f"rows of '{task.name}' have no class of their own",
                "Choose random or nearest",
            )
        draw, classes = Draw(kind, self.shots), task.references(dataset["train"])
        nearest = None
        if kind == "nearest":
            train, test, validation = (
                [task.prompt(row, texts, ()).query for row in dataset[split]]
                for split in ("train", "test", "validation")
            )
            nearest = nearest_rows(train, [*test, *validation], self.shots, task, self.checkpoint)
        found, begin = {}, 0
        for split, orders in (("test", self.orders), ("validation", 1)):
            rows = len(dataset[split])
            ours = None if nearest is None else nearest[begin : begin + rows]
            found[split] = [draw.picks(order, rows, classes, ours) for order in range(orders)]
            begin += rows
        return found


class Asked:
    """A task's rows as requests to one model, and a count of what did not fit into them."""

    def __init__(
        self, task: Task, dataset: DatasetDict, texts: Mapping[str, str], layout: Layout, scorer: Scorer
    ) -> None:
        self.task, self.dataset, self.texts, self.layout, self.scorer = task, dataset, texts, layout, scorer
        self.longest = longest_prompt(scorer.model, layout.tokenizer)
        self.left_out = {"prompts": 0, "prompts_shortened": 0, "demonstrations_dropped": 0, "prompts_cut": 0}

    def prompts(self, rows: Sequence[Mapping[str, Any]], picks: Sequence[tuple]) -> list[Prompt]:
        shown = {place: self.dataset["train"][place] for pick in set(picks) for place in pick}
        return [
            self.task.prompt(row, self.texts, [shown[place] for place in pick])
            for row, pick in zip(rows, picks, strict=True)
        ]

    def fitted(self, rows: Sequence[Mapping[str, Any]], picks: Sequence[tuple], room: int = 0) -> list[Fitted]:
        found = self.layout.fitted(self.prompts(rows, picks), self.longest, room)
        self.left_out["prompts"] += len(found)
        self.left_out["demonstrations_dropped"] += sum(fitted.dropped for fitted in found)
        self.left_out["prompts_shortened"] += sum(fitted.dropped > 0 for fitted in found)
        self.left_out["prompts_cut"] += sum(fitted.cut for fitted in found)
        return found

    def log_probabilities(self, rows: Sequence[Mapping[str, Any]], picks: Sequence[tuple], desc: str) -> np.ndarray:
        """Of the answers to choose from, summing to 1 in each row, (rows, answers)."""
        found = self.fitted(rows, picks)
        if found:
            refuse_alike(list(self.texts), found[0].request.answers)
        scores: dict[int, np.ndarray] = {}
        # Prompts that lost as many demonstrations begin alike.
        for dropped in sorted({fitted.dropped for fitted in found}):
            places = [i for i, fitted in enumerate(found) if fitted.dropped == dropped]
            scores |= zip(places, self.scorer.score([found[i].request for i in places], desc=desc), strict=True)
        return log_softmax(np.array([scores[i] for i in range(len(found))]), axis=-1)

    def content_free(self, picks: Sequence[tuple]) -> np.ndarray:
        """The same of a row without content, for the demonstrations of every query: the mean probability, as a log."""
        known = list(dict.fromkeys(picks))
        row = self.dataset["test"][0]
        empty = [
            {name: text if isinstance(value, str) else value for name, value in row.items()} for text in CONTENT_FREE
        ]
        found = self.log_probabilities(
            empty * len(known), [pick for pick in known for _ in empty], "prompts without content"
        )
        means = logsumexp(found.reshape(len(known), len(empty), -1), axis=1) - np.log(len(empty))
        places = {pick: place for place, pick in enumerate(known)}
        return means[[places[pick] for pick in picks]]


def chosen_answers(asked: Asked, picks: Mapping[str, list[list[tuple]]], labels: list[str]) -> Answers:
    """The likeliest of the answers to choose from, calibrated where that is better on validation."""
    task, test, validation = asked.task, list(asked.dataset["test"]), asked.dataset["validation"]
    raw = asked.log_probabilities(list(validation), picks["validation"][0], "validation prompts")
    tried = {
        "raw": headline(task, validation, raw, labels),
        "calibrated": headline(task, validation, raw - asked.content_free(picks["validation"][0]), labels),
    }
    way = max(tried, key=lambda name: tried[name])  # raw where they are even
    headlines: dict[str, list[float]] = {"raw": [], "calibrated": []}
    found: dict[str, np.ndarray] = {}
    for order, of_test in enumerate(picks["test"]):
        ours = {"raw": asked.log_probabilities(test, of_test, f"prompts, order {order + 1} of {len(picks['test'])}")}
        ours["calibrated"] = log_softmax(ours["raw"] - asked.content_free(of_test), axis=-1)
        for name, logs in ours.items():
            headlines[name].append(headline(task, asked.dataset["test"], logs, labels))
        found = found or ours
    return Answers(
        decoded(task, asked.dataset["test"], found[way], labels),
        np.exp(found[way]),
        {
            "orders": {name: spread(of_way) for name, of_way in headlines.items()},
            "calibration": {"used": way == "calibrated", "validation_rows": len(validation), **tried},
            "beginning_shared": asked.scorer.shares,
        },
    )


def written_answers(asked: Asked, picks: Mapping[str, list[list[tuple]]]) -> Answers:
    """What the model writes, read by the task; nothing to read is wrong, and counted."""
    task, test, tokenizer = asked.task, list(asked.dataset["test"]), asked.layout.tokenizer
    model = asked.scorer.model
    some = spread_over(asked.dataset["train"], ANSWERS_READ)
    known = [task.prompt(row, asked.texts, [row]).shots[0][1] for row in some]
    most = max(map(len, tokenizer(known, add_special_tokens=False)["input_ids"])) + 8  # with an end, and some more
    headlines, unreadable, first = [], [], []
    for order, of_test in enumerate(picks["test"]):
        requests = [fitted.request for fitted in asked.fitted(test, of_test, most)]
        texts = completions(
            model, tokenizer, requests, most, desc=f"prompts, order {order + 1} of {len(picks['test'])}"
        )
        parsed = [task.answer(text, row, asked.texts) for text, row in zip(texts, test, strict=True)]
        ours = [answer.prediction for answer in parsed]
        headlines.append(task.score(ours, task.references(asked.dataset["test"]))[task.headline])
        unreadable.append(sum(not answer.readable for answer in parsed) / len(parsed))
        first = first or ours
    return Answers(
        first,
        facts={"orders": {"raw": spread(headlines)}, "unparseable": unreadable[0], "unparseable_by_order": unreadable},
    )


def spread_over(rows: Dataset, most: int) -> Dataset:
    """All rows, or `most` of them evenly spaced."""
    return rows.select(np.linspace(0, len(rows) - 1, most).astype(int)) if len(rows) > most else rows


def decoded(task: Task, rows: Dataset, logs: np.ndarray, labels: list[str]) -> list:
    return task.decode(logs, targets_of(task, DatasetDict({"rows": rows}), labels)["rows"], labels)[0]


def headline(task: Task, rows: Dataset, logs: np.ndarray, labels: list[str]) -> float:
    return float(task.score(decoded(task, rows, logs, labels), task.references(rows))[task.headline])


def spread(headlines: list[float]) -> dict[str, Any]:
    """The headline of every order and how they differ; prompt results mislead without it."""
    found = np.array(headlines)
    return {
        "headlines": headlines,
        "mean": float(found.mean()),
        "min": float(found.min()),
        "max": float(found.max()),
        "sd": float(found.std(ddof=1)) if len(found) > 1 else 0.0,
    }
