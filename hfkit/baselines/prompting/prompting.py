"""Any causal language model, asked for the answers with or without demonstrations: nothing is trained."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from accelerate import PartialState
from datasets import Dataset, DatasetDict
from scipy.special import log_softmax, logsumexp

from hfkit.baselines.base import Answers, Baseline
from hfkit.baselines.logits import label_head, learnt_target, refuse_alike, score_of, target_rows
from hfkit.baselines.prompting.completions import complete
from hfkit.baselines.prompting.demonstrations import Draw, find_nearest
from hfkit.baselines.prompting.label_texts import label_texts, read_label_texts
from hfkit.baselines.prompting.language_models import load_language_model, longest_prompt
from hfkit.baselines.prompting.layout import FittedRequest, Layout
from hfkit.baselines.prompting.scoring import Scorer
from hfkit.contract.abilities import Headed, LabelHead, Prompt, Prompted
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError

log = logging.getLogger(__name__)

CONTENT_FREE = ("N/A", "", "[MASK]")  # of Zhao et al. 2021
VALIDATION_ROWS = 100  # that decide whether calibration helps
ANSWERS_READ = 1000  # training rows that decide how long a written answer may be


@dataclass(frozen=True)
class ZeroShotPrompt(Baseline):
    """The likeliest answer after an instruction, by the mean log-probability of its tokens.

    Answers to choose from are the labels, or a row's own options. Where a task has none, the model writes an answer,
    and `Prompted.read_completion` reads it.

    Each label's probability may be divided by its probability for inputs without content (contextual calibration: Zhao
    et al. 2021, "Calibrate Before Use"). Validation rows, which no prompt shows, decide whether it is.
    """

    prompt_checkpoint: str
    label_texts: str | None = None  # JSON, see `label_texts.read_label_texts`

    name: ClassVar[str] = "zero-shot prompt"
    description: ClassVar[str] = "the likeliest answer of a language model after an instruction"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """The answers of the first order of demonstrations; `facts` have the headline of every order."""
        if not isinstance(task, Prompted):
            raise UserError(f"task '{task.key}'", "a prompt cannot do this task", "Use another baseline")
        validation = space_evenly(rows["validation"], VALIDATION_ROWS)
        rows = Loaded(DatasetDict({**rows.splits, "validation": validation}), learnt_target(task, rows))
        texts = name_answers(task, rows, self.label_texts)
        # Before anything is loaded: rows that a prompt cannot ask about are refused here.
        chooses = bool(task.prompt(rows["test"][0], texts, ()).options)
        head = label_head(task, rows, self.name) if chooses and isinstance(task, Headed) else None
        picks = self.pick_demonstrations(task, rows, texts, balanced=head is not None)
        model, tokenizer = load_language_model(self.prompt_checkpoint)
        layout = Layout(tokenizer)
        asker = Asker(task, rows, texts, layout, Scorer(model.to(PartialState().device)))
        if head is not None:
            answers = choose_answers(asker, picks, head)
        else:
            answers = (choose_options if chooses else write_answers)(asker, picks)
        left_out = asker.left_out
        if left_out["prompts_shortened"] or left_out["prompts_cut"]:
            log.warning(
                "%s: of %d prompts %d lost examples and %d the beginning of the instruction, to fit %d tokens.",
                self.name,
                left_out["prompts"],
                left_out["prompts_shortened"],
                left_out["prompts_cut"],
                asker.longest,
            )
        return answers._replace(
            facts={
                "prompt_checkpoint": self.prompt_checkpoint,
                "layout": "chat" if layout.is_chat else "plain text",
                "demonstrations": len(picks["test"][0][0]),
                **answers.facts,
                **left_out,
            }
        )

    def pick_demonstrations(
        self, task: Prompted, rows: Loaded, texts: Mapping[str, str], *, balanced: bool
    ) -> dict[str, list[list[tuple]]]:
        """By split and order, the training rows that are shown to every query: none."""
        return {"test": [[()] * len(rows["test"])], "validation": [[()] * len(rows["validation"])]}


@dataclass(frozen=True)
class FewShotPrompt(ZeroShotPrompt):
    """The same after training rows with their answers, which the prompt shows first."""

    shots: int = 4  # of every class where balanced, otherwise in all
    demonstrations: str | None = None  # balanced, random or nearest; None: balanced where a row has one class
    orders: int = 5  # draws of the demonstrations; the facts have the spread over them
    checkpoint: str = "sample"  # the encoder that decides which rows are nearest

    name: ClassVar[str] = "few-shot prompt"
    description: ClassVar[str] = "the likeliest answer of a language model after some training rows with theirs"

    def __post_init__(self) -> None:
        for name, value in (("shots", self.shots), ("prompt_orders", self.orders)):
            if value < 1:
                raise UserError(f"{name}={value}", "it is a count, at least 1", "Leave it out, or set 1 or more")

    def pick_demonstrations(
        self, task: Prompted, rows: Loaded, texts: Mapping[str, str], *, balanced: bool
    ) -> dict[str, list[list[tuple]]]:
        """By split and order, the training rows that are shown to every query; validation has one order."""
        kind = self.demonstrations or ("balanced" if balanced else "random")
        if kind == "balanced" and not balanced:
            raise UserError(
                "demonstrations=balanced",
                f"rows of '{task.key}' have no class of their own",
                "Choose random or nearest",
            )
        draw, classes = Draw(kind, self.shots), task.rows.references(rows["train"])
        nearest = None
        if kind == "nearest":
            train, test, validation = (
                [task.prompt(row, texts, ()).query for row in rows[split]] for split in ("train", "test", "validation")
            )
            nearest = find_nearest(train, [*test, *validation], self.shots, task, self.checkpoint, rows.target)
        picks, begin = {}, 0
        for split, orders in (("test", self.orders), ("validation", 1)):
            queries = len(rows[split])
            ours = None if nearest is None else nearest[begin : begin + queries]
            picks[split] = [draw.picks(order, queries, classes, ours) for order in range(orders)]
            begin += queries
        return picks


class Asker:
    """Puts a task's rows to one model as requests, and counts what did not fit into them."""

    def __init__(self, task: Task, rows: Loaded, texts: Mapping[str, str], layout: Layout, scorer: Scorer) -> None:
        self.task, self.rows, self.texts, self.layout, self.scorer = task, rows, texts, layout, scorer
        self.longest = longest_prompt(scorer.model, layout.tokenizer)
        self.left_out = {"prompts": 0, "prompts_shortened": 0, "demonstrations_dropped": 0, "prompts_cut": 0}

    def prompts(self, rows: Sequence[Mapping[str, Any]], picks: Sequence[tuple]) -> list[Prompt]:
        shots = {place: self.rows["train"][place] for pick in set(picks) for place in pick}
        return [
            self.task.prompt(row, self.texts, [shots[place] for place in pick])
            for row, pick in zip(rows, picks, strict=True)
        ]

    def requests(self, rows: Sequence[Mapping[str, Any]], picks: Sequence[tuple], room: int = 0) -> list[FittedRequest]:
        fitted = self.layout.fit(self.prompts(rows, picks), self.longest, room)
        self.left_out["prompts"] += len(fitted)
        self.left_out["demonstrations_dropped"] += sum(one.dropped for one in fitted)
        self.left_out["prompts_shortened"] += sum(one.dropped > 0 for one in fitted)
        self.left_out["prompts_cut"] += sum(one.cut for one in fitted)
        return fitted

    def log_probabilities(self, rows: Sequence[Mapping[str, Any]], picks: Sequence[tuple], desc: str) -> np.ndarray:
        """Those of the answers to choose from, summing to 1 in each row, (rows, answers)."""
        fitted = self.requests(rows, picks)
        if fitted:
            refuse_alike(list(self.texts), fitted[0].request.answers)
        scores: dict[int, np.ndarray] = {}
        # Prompts that lost the same number of demonstrations begin alike.
        for dropped in sorted({one.dropped for one in fitted}):
            places = [i for i, one in enumerate(fitted) if one.dropped == dropped]
            scores |= zip(places, self.scorer.score([fitted[i].request for i in places], desc=desc), strict=True)
        return log_softmax(np.array([scores[i] for i in range(len(fitted))]), axis=-1)

    def content_free(self, picks: Sequence[tuple]) -> np.ndarray:
        """The same for rows without content after the demonstrations of every query: the log of their mean."""
        known = list(dict.fromkeys(picks))
        row = self.rows["test"][0]
        empty = [
            {name: text if isinstance(value, str) else value for name, value in row.items()} for text in CONTENT_FREE
        ]
        logs = self.log_probabilities(
            empty * len(known), [pick for pick in known for _ in empty], "prompts without content"
        )
        means = logsumexp(logs.reshape(len(known), len(empty), -1), axis=1) - np.log(len(empty))
        places = {pick: place for place, pick in enumerate(known)}
        return means[[places[pick] for pick in picks]]


def choose_answers(asker: Asker, picks: Mapping[str, list[list[tuple]]], head: LabelHead) -> Answers:
    """The likeliest of the answers to choose from, calibrated where that is better on validation."""
    task, test, validation = asker.task, asker.rows["test"], asker.rows["validation"]
    raw = asker.log_probabilities(list(validation), picks["validation"][0], "validation prompts")
    calibrated = raw - asker.content_free(picks["validation"][0])
    tried = {
        "raw": score_logs(task, head, validation, raw),
        "calibrated": score_logs(task, head, validation, calibrated),
    }
    way = task.judge.headline.best(tried, lambda name: tried[name])  # raw where they are even
    headlines: dict[str, list[float]] = {"raw": [], "calibrated": []}
    first: dict[str, np.ndarray] = {}
    for order, of_test in enumerate(picks["test"]):
        desc = f"prompts, order {order + 1} of {len(picks['test'])}"
        ours = {"raw": asker.log_probabilities(list(test), of_test, desc)}
        ours["calibrated"] = log_softmax(ours["raw"] - asker.content_free(of_test), axis=-1)
        for name, logs in ours.items():
            headlines[name].append(score_logs(task, head, test, logs))
        first = first or ours
    return Answers(
        decode_logs(head, test, first[way]),
        np.exp(first[way]),
        {
            "orders": {name: summarise(of_way) for name, of_way in headlines.items()},
            "calibration": {"used": way == "calibrated", "validation_rows": len(validation), **tried},
            "beginning_shared": asker.scorer.shares,
        },
    )


def name_answers(task: Task, rows: Loaded, typed: str | None) -> dict[str, str]:
    """The words for each of the names that answers to a prompt use.

    Args:
        typed: the user's own, see `read_label_texts`.
    """
    names = task.prompt_names(rows.labels)
    return dict(zip(names, label_texts(names, read_label_texts(typed)), strict=True))


def read_options(
    task: Task, prompts: Sequence[Prompt], scores: Sequence[np.ndarray], rows: Dataset, texts: Mapping[str, str]
) -> list:
    """The predictions that the likeliest option of every row makes.

    Args:
        scores: of the options of every row.
    """
    chosen = [prompt.options[int(found.argmax())] for prompt, found in zip(prompts, scores, strict=True)]
    return [task.read_completion(text, row, texts).prediction for text, row in zip(chosen, rows, strict=True)]


def choose_options(asker: Asker, picks: Mapping[str, list[list[tuple]]]) -> Answers:
    """The likeliest of each row's own options."""
    task, test = asker.task, asker.rows["test"]
    references, prompts = task.rows.references(test), asker.prompts(test, [()] * len(test))
    headlines, first = [], []
    for order, of_test in enumerate(picks["test"]):
        # One at a time: what all prompts share in tokens is told from one list of answers.
        requests = [asker.requests([row], [pick])[0].request for row, pick in zip(test, of_test, strict=True)]
        scores = asker.scorer.score(requests, desc=f"prompts, order {order + 1} of {len(picks['test'])}")
        ours = read_options(task, prompts, scores, test, asker.texts)
        headlines.append(score_of(task, ours, references))
        first = first or ours
    return Answers(first, facts={"orders": {"raw": summarise(headlines)}, "beginning_shared": asker.scorer.shares})


def write_answers(asker: Asker, picks: Mapping[str, list[list[tuple]]]) -> Answers:
    """Answers that the model writes and the task reads. A text that cannot be read is wrong, and counted."""
    task, test, tokenizer = asker.task, asker.rows["test"], asker.layout.tokenizer
    model, references = asker.scorer.model, task.rows.references(test)
    some = space_evenly(asker.rows["train"], ANSWERS_READ)
    known = [task.prompt(row, asker.texts, [row]).shots[0][1] for row in some]
    most = max(map(len, tokenizer(known, add_special_tokens=False)["input_ids"])) + 8  # with an end, and some more
    headlines, unreadable, first = [], [], []
    for order, of_test in enumerate(picks["test"]):
        requests = [fitted.request for fitted in asker.requests(list(test), of_test, most)]
        desc = f"prompts, order {order + 1} of {len(picks['test'])}"
        texts = complete(model, tokenizer, requests, most, desc=desc)
        parsed = [task.read_completion(text, row, asker.texts) for text, row in zip(texts, test, strict=True)]
        ours = [answer.prediction for answer in parsed]
        headlines.append(score_of(task, ours, references))
        unreadable.append(sum(not answer.readable for answer in parsed) / len(parsed))
        first = first or ours
    return Answers(
        first,
        facts={
            "orders": {"raw": summarise(headlines)},
            "unparseable": unreadable[0],
            "unparseable_by_order": unreadable,
        },
    )


def space_evenly(rows: Dataset, most: int) -> Dataset:
    """All rows, or `most` of them evenly spaced."""
    return rows.select(np.linspace(0, len(rows) - 1, most).astype(int)) if len(rows) > most else rows


def decode_logs(head: LabelHead, rows: Dataset, logs: np.ndarray) -> list:
    """Predictions for loaded rows from the log-probabilities of the labels."""
    return head.decode_reduced(logs, target_rows(head, rows))


def score_logs(task: Task, head: LabelHead, rows: Dataset, logs: np.ndarray) -> float:
    """The headline of loaded rows, given the log-probabilities of the labels."""
    return float(score_of(task, decode_logs(head, rows, logs), task.rows.references(rows)))


def summarise(headlines: list[float]) -> dict[str, Any]:
    """The headline of every order and how they differ; prompt results mislead without it."""
    values = np.array(headlines)
    return {
        "headlines": headlines,
        "mean": float(values.mean()),
        "min": float(values.min()),
        "max": float(values.max()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
    }
