"""Zero-shot classification by entailment: whether the text entails "This example is LABEL."

Yin, Hay & Roth 2019, "Benchmarking Zero-shot Text Classification: Datasets, Evaluation and Entailment Approach".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.baselines.logits import (
    answers_of,
    has_one_label,
    headline_on,
    label_head,
    refuse_alike,
    refuse_numbers,
    target_splits,
)
from hfkit.baselines.prompting.label_texts import label_texts
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError
from hfkit.model.weights import load_whole_model
from hfkit.progress import progress

HYPOTHESIS = "This example is {}."
BATCH = 64  # pairs of text and label
CHUNK = 256  # texts whose pairs are sorted by length together
MOST_TOKENS = 1024  # of a pair, where the model names no limit of its own


@dataclass(frozen=True)
class ZeroShotNLI(Baseline):
    """A model of natural language inference reads the text as premise, and a sentence about each label as hypothesis.

    One label: the one whose hypothesis is entailed most. Several: those more entailed than contradicted, by a threshold
    tuned on validation like every contender's. Of pairs of texts the premise is both, one after the other.

    Args:
        hypothesis: a sentence with {} where the label's text goes.
        texts: names in words, of labels that do not go by their own.
    """

    checkpoint: str
    hypothesis: str = HYPOTHESIS
    texts: Mapping[str, str] = field(default_factory=dict)

    name: ClassVar[str] = "zero-shot NLI"
    description: ClassVar[str] = "a model of inference asked whether the text entails each label's name"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """Predictions of every test row; probabilities are the softmax of entailment over the labels.

        Raises:
            UserError: the task has no texts or no labels, or the checkpoint is not a model of inference.
        """
        refuse_other_hypothesis(self.hypothesis)
        premises = column_of(rows, "text", self.name)
        if "text_pair" in rows["train"].column_names:
            second = column_of(rows, "text_pair", self.name)
            premises = {
                split: [f"{a} {b}" for a, b in zip(texts, second[split], strict=True)]
                for split, texts in premises.items()
            }
        head = label_head(task, rows, self.name)
        targets, labels = target_splits(head, rows), names_of(head.target)
        refuse_numbers(self.name, targets)
        texts = label_texts(labels, self.texts)
        model = load_whole_model(AutoModelForSequenceClassification, self.checkpoint, "nli_checkpoint")
        model = model.to(PartialState().device)
        entails, contradicts = find_verdicts(model.config.id2label, self.checkpoint)
        processor = task.codec(self.checkpoint, head.target).processor
        pairs = Pairs(processor, [self.hypothesis.replace("{}", text) for text in texts])
        refuse_alike(labels, [encoding.ids for encoding in pairs.hypotheses])
        single = has_one_label(targets["test"])

        def logits_of(split: str) -> np.ndarray:
            verdicts = infer(model, pairs, premises[split], desc=f"{self.name}: {split}")
            return verdicts[..., entails] if single else verdicts[..., entails] - verdicts[..., contradicts]

        headline = headline_on(task, rows["validation"])
        return answers_of(head, logits_of, targets, headline, {"hypothesis": self.hypothesis})


class Pair(NamedTuple):
    """A text and a label's hypothesis as the model reads them, and their numbers."""

    row: int
    label: int
    inputs: dict[str, list[int]]


class Pairs:
    """Every text beside every hypothesis. Each is tokenised once. A pair that is too long loses part of its text.

    Raises:
        UserError: the tokenizer is not a fast one, or a hypothesis leaves no room for the text.
    """

    def __init__(self, processor: Tokenizer, hypotheses: list[str]) -> None:
        if not processor.is_fast:
            raise UserError(
                f"tokenizer {type(processor).__name__}",
                "texts are paired with labels by a fast tokenizer",
                "Save it as tokenizer.json beside the model",
            )
        self.processor = processor
        self.longest = min(processor.model_max_length, MOST_TOKENS)
        self.hypotheses = self.tokenise(hypotheses)
        room = self.longest - processor.num_special_tokens_to_add(pair=True)
        for text, encoding in zip(hypotheses, self.hypotheses, strict=True):
            if len(encoding.ids) >= room:
                raise UserError(
                    f"hypothesis '{text}'",
                    f"it has {len(encoding.ids)} tokens, and of the model's {self.longest} some are for the text",
                    "Shorten --hypothesis or the label's text",
                )

    def tokenise(self, texts: list[str]) -> list[Any]:
        return self.processor(texts, add_special_tokens=False, verbose=False).encodings

    def pair(self, texts: list[str], rows: list[int]) -> list[Pair]:
        """The pairs of some rows, the longest first."""
        premises = self.tokenise([texts[row] for row in rows])
        backend, names = self.processor.backend_tokenizer, self.processor.model_input_names
        # Every call of the tokenizer undoes this.
        backend.enable_truncation(self.longest, strategy="only_first", direction=self.processor.truncation_side)
        pairs = []
        for row, premise in zip(rows, premises, strict=True):
            for label, hypothesis in enumerate(self.hypotheses):
                both = backend.post_process(premise, hypothesis)
                columns = {
                    "input_ids": both.ids,
                    "attention_mask": both.attention_mask,
                    "token_type_ids": both.type_ids,
                }
                pairs.append(Pair(row, label, {name: columns[name] for name in names}))
        return sorted(pairs, key=lambda pair: -len(pair.inputs["input_ids"]))

    def batches(self, texts: list[str]) -> Iterator[list[Pair]]:
        """All pairs in batches of like length."""
        order = np.argsort([-len(text) for text in texts], kind="stable").tolist()
        for start in range(0, len(order), CHUNK):
            pairs = self.pair(texts, order[start : start + CHUNK])
            for place in range(0, len(pairs), BATCH):
                yield pairs[place : place + BATCH]


@torch.no_grad()
def infer(model: nn.Module, pairs: Pairs, texts: list[str], *, desc: str) -> np.ndarray:
    """The logits of every text with every hypothesis, (texts, labels, verdicts)."""
    device = next(model.parameters()).device
    verdicts = np.zeros((len(texts), len(pairs.hypotheses), model.config.num_labels), dtype=np.float32)
    with progress(desc, len(texts) * len(pairs.hypotheses)) as advance:
        for batch in pairs.batches(texts):
            padded: Mapping[str, Tensor] = pairs.processor.pad(
                {name: [pair.inputs[name] for pair in batch] for name in batch[0].inputs}, return_tensors="pt"
            )
            logits = model(**{name: value.to(device) for name, value in padded.items()}).logits
            verdicts[[pair.row for pair in batch], [pair.label for pair in batch]] = logits.float().cpu().numpy()
            advance(len(batch))
    return verdicts


def find_verdicts(names: Mapping[int, str], checkpoint: str) -> tuple[int, int]:
    """The ids of a model's labels for entailment and for contradiction.

    Raises:
        UserError: it has no such labels.
    """

    def find(word: str) -> list[int]:
        return [place for place, name in names.items() if name.lower().startswith(word)]

    entails, contradicts = find("entail"), find("contra")
    if len(entails) == 1 and not contradicts and len(names) == 2:
        contradicts = [place for place in names if place not in entails]
    if len(entails) != 1 or len(contradicts) != 1:
        raise UserError(
            f"nli_checkpoint '{checkpoint}'",
            "a model of inference has labels for entailment and contradiction, and these are"
            f" {', '.join(names.values())}",
            "Give another checkpoint, or name its labels in id2label of its config.json",
        )
    return entails[0], contradicts[0]


def refuse_other_hypothesis(hypothesis: str) -> None:
    """Refuse a template without one place for the label.

    Raises:
        UserError: it does not have exactly one {}.
    """
    if hypothesis.count("{}") != 1:
        raise UserError(f"hypothesis={hypothesis!r}", "it has one {} for the label", f"Try {HYPOTHESIS!r}")
