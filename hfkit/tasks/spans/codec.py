"""The codec of span finders: windows of a question and its passage, and logits to the best stretch of a row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, List, Value
from torch import Tensor, nn
from transformers import AutoModelForQuestionAnswering, PreTrainedConfig, PreTrainedModel
from transformers import PreTrainedTokenizerFast as Tokenizer

from hfkit.contract.abilities import Decision
from hfkit.contract.codec import Batch, Output, Tokens
from hfkit.contract.target import Nothing
from hfkit.data.batches import text_lengths
from hfkit.data.mapping import map_rows
from hfkit.data.text.padding import PaddedTexts
from hfkit.data.text.token_columns import encode_texts
from hfkit.errors import UserError
from hfkit.model.conversions import say_once
from hfkit.model.weights import read_config
from hfkit.tasks.checkpoint_codec import CheckpointCodec
from hfkit.tasks.inputs import load_text_tokenizer
from hfkit.tasks.losses import category_divergence, cross_entropy_within
from hfkit.tasks.spans.search import Best, choose_window, find_best
from hfkit.tasks.spans.target import MARGIN, Stretches
from hfkit.tasks.spans.windows import read_frame, windows

LONGEST_WINDOW, SHARED = 384, 128  # tokens, as in the stock script
PLACES = ("start_positions", "end_positions")
BESIDE = ("first", "inside", "null", *PLACES)  # of a batch, beside the model's inputs
MARGINS = 25  # candidates


class PaddedWindows(PaddedTexts):
    """Windows -> the model's inputs, and beside them where the passage, no answer and the answer are."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        batch = super().__call__(rows)
        name = self.tokenizer.model_input_names[0]
        lengths = torch.tensor([len(row[name]) for row in rows])
        shift = batch[name].shape[1] - lengths if self.tokenizer.padding_side == "left" else torch.zeros_like(lengths)
        batch["inside"] = torch.tensor([len(row["begins"]) for row in rows])
        for place in ("first", "null", *PLACES):
            if place in rows[0]:
                batch[place] = torch.tensor([int(row[place]) for row in rows]) + shift
        return batch


class SpanFinder(CheckpointCodec):
    """A tokenizer, and what a head for stretches of text learns and says.

    Args:
        max_length: tokens in a window; None: what the model can read, at most `LONGEST_WINDOW`.
        stride: tokens that two windows share; None: a third of the window, as `SHARED` is.
        longest: tokens of an answer.
        negatives: windows of a training row that do not hold its answer, at most; None: all of them.

    Raises:
        UserError: there is no tokenizer, or it cannot say where in the text a token stands.
    """

    auto_model = AutoModelForQuestionAnswering

    def __init__(
        self,
        checkpoint: str,
        path: str,
        target: Nothing,
        head_config: Mapping[str, Any],
        *,
        max_length: int | None = None,
        stride: int | None = None,
        longest: int = 30,
        negatives: int | None = None,
    ) -> None:
        super().__init__(checkpoint, path, head_config)
        self.target = target
        self.max_length, self.stride, self.longest, self.negatives = max_length, stride, longest, negatives
        self.margin = target.margin if isinstance(target, Stretches) else None
        self.label_smoothing = 0.0
        self.processor: Tokenizer = self._load_tokenizer()
        self.frame = read_frame(self.processor, checkpoint)
        self.collate = PaddedWindows(self.processor)

    def _load_tokenizer(self) -> Tokenizer:
        tokenizer = load_text_tokenizer(self.path, self.checkpoint, self.auto_model)
        if not tokenizer.is_fast:
            raise UserError(
                f"checkpoint '{self.checkpoint}'",
                f"its tokenizer ({type(tokenizer).__name__}) exists in Python only, transformers cannot convert it, and"
                " it cannot say where in the text a token stands",
                "Use a checkpoint with a fast tokenizer (tokenizer.json)",
            )
        tokenizer.truncation_side = "right"
        return tokenizer

    def model(self, *, pretrained: bool = True, finished: bool = False, blocks: Sequence[str] = ()) -> PreTrainedModel:
        self._compare_heads(self.name_source(finished=finished), finished=finished, pretrained=pretrained)
        return super().model(pretrained=pretrained, finished=finished, blocks=blocks)

    def _compare_heads(self, named: str, *, finished: bool, pretrained: bool) -> None:
        """Refuse a finished model, and tell of a checkpoint, whose head finds answers in another way."""
        config = read_config(self.path)
        made = self.auto_model._model_mapping.get(type(config), None)
        own = [head for head in config.architectures or [] if "ForQuestionAnswering" in head]
        if made is None or not own or made.__name__ in own:
            return
        if finished:
            raise UserError(
                named,
                f"its head is that of {own[0]}, which searches a beam of starts, and AutoModelForQuestionAnswering"
                f" makes {made.__name__}, with a logit for every start and end",
                f"Fine-tune it as {made.__name__}",
            )
        if pretrained:
            say_once(f"{named[0].upper()}{named[1:]}: its head ({own[0]}) is left behind for that of {made.__name__}.")

    # Rows to batches

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Windows of tokens, at least one per row.

        Besides the model's inputs a window has `row`; `first`, the place of its first token of the passage; `null`,
        that of the token for no answer; `begins` and `ends`, the characters of the passage at which its tokens begin
        and end; `context`, the passage (only in the first window of a row), and `cut`, whether the question was cut
        off (there too). With `answers` also the places of the first and the last token of the gold answer, which are
        `null` in windows without it. Of a training row some windows without it may be missing (see `negatives`).

        Raises:
            UserError: `max_length` or `stride` do not fit the tokenizer.
        """
        longest, stride = self.window()
        integers, number = List(Value("int32")), Value("int32")
        features = {name: integers for name in self.processor.model_input_names}
        features |= {"row": number, "first": number, "null": number, "begins": integers, "ends": integers}
        features |= {"context": Value("string"), "cut": Value("bool")}
        features |= dict.fromkeys(PLACES, number) if answers else {}
        encoded = map_rows(
            rows,
            windows,
            f"Tokenizing {split}",
            features=Features(features),
            numbered=True,
            processor=self.processor,
            frame=self.frame,
            longest=longest,
            stride=stride,
            answers=answers,
            negatives=self.negatives if split == "train" and answers else None,
        )
        return encoded

    def window(self) -> tuple[int, int]:
        """The number of tokens in a window, including special ones, and the number that two windows share."""
        limit, special = self.processor.model_max_length, self.frame.special
        longest = min(limit, LONGEST_WINDOW) if self.max_length is None else self.max_length
        if not special + 3 < longest <= limit:
            raise UserError(
                f"max_length {longest}",
                f"a window holds a question and a passage beside its {special} special tokens, and at most the {limit}"
                " tokens that the model reads",
                "Set --max_length between them, or leave it out",
            )
        stride = longest * SHARED // LONGEST_WINDOW if self.stride is None else self.stride
        if not 0 <= stride < longest - special:
            raise UserError(
                f"stride {stride}",
                f"two windows share fewer tokens than the {longest - special} that one holds",
                "Set a smaller --stride, or leave it out",
            )
        return longest, stride

    def tokens(self, rows: Dataset) -> Tokens:
        limit, _ = self.window()
        ids = encode_texts([rows["question"][:], rows["context"][:]], self.processor)["input_ids"]
        return Tokens(ids, limit, windowed=True)

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        """How many windows a split has, how long the longest is, and what was cut."""
        row = np.array(encoded["row"][:])
        return {
            "windows": len(row),
            "rows_in_several_windows": int((np.bincount(row) > 1).sum()),
            "most_tokens": int(text_lengths(encoded).max(initial=0)),
            "questions_cut": sum(encoded["cut"][:]),
        }

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        return {name: value for name, value in batch.items() if name not in BESIDE}

    # The loss

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        """The mean of the cross-entropies of both ends, over the tokens of a window without padding."""
        output = model(**self.inputs(batch))
        real = self.real_tokens(batch)
        total = sum(
            cross_entropy_within(logits, real, batch[place], self.label_smoothing)
            for logits, place in zip(logits_of(output), PLACES, strict=True)
        )
        return total / 2 / (self.count_targets(batch) if items is None else items), output

    def count_targets(self, batch: Batch) -> int:
        return len(batch[PLACES[0]])

    def divergence(self, output: Output, batch: Batch, items: Tensor | int | None = None) -> Tensor:
        real = self.real_tokens(batch).chunk(2)[0]
        halves = [
            logits.masked_fill(~real.repeat(2, 1), torch.finfo(logits.dtype).min / 2) for logits in logits_of(output)
        ]
        total = sum(category_divergence(*logits.chunk(2)) for logits in halves)
        return total / 2 / (self.count_targets(batch) // 2 if items is None else items)

    def real_tokens(self, batch: Batch) -> Tensor:
        """Whether each token is no padding, (batch, tokens)."""
        return batch["attention_mask"].bool()

    # Outputs to answers

    def logits(self, output: Output, batch: Batch) -> Tensor:
        """Both logits of all tokens but padding, (tokens, 2)."""
        return torch.stack(logits_of(output), -1)[self.real_tokens(batch)]

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """For each window the score of its best stretch, which of the passage's tokens are its ends, the logits of no
        answer, and the logarithms of the sums over all starts and ends, with no answer among them.
        """
        start, end = logits_of(model(**self.inputs(batch)) if known is None else known)
        first, null = batch["first"][:, None], batch["null"][:, None]
        place = torch.arange(start.shape[1], device=start.device)
        inside = (place >= first) & (place < first + batch["inside"][:, None])
        score, begin, behind = find_best(start, end, inside, self.longest)
        # Models that always answer learnt to point at that token where a window does not hold the answer.
        counted = inside | (place == null)
        masses = [logits.masked_fill(~counted, -torch.inf).logsumexp(1) for logits in (start, end)]
        return {
            "score": score,
            "start": begin - batch["first"],
            "end": behind - batch["first"],
            "null_start": start.gather(1, null)[:, 0],
            "null_end": end.gather(1, null)[:, 0],
            "start_mass": masses[0],
            "end_mass": masses[1],
        }

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list[dict[str, Any]]:
        """The best stretch of each row, over all its windows: `text`, `start` and `end` (characters of the passage, end
        excluded) and its `probability`; an empty text without place where there is no answer.
        """
        return self._answer(*self._judge(outputs, encoded), encoded, outputs)

    def _judge(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> tuple[Best, np.ndarray]:
        """The best window of every row, and whether it has no answer."""
        best = choose_window(outputs, np.array(encoded["row"][:]))
        none = ~np.isfinite(best.score)
        if self.margin is not None:
            none |= best.null - best.score > self.margin
        return best, none

    def _answer(
        self, best: Best, none: np.ndarray, encoded: Dataset, outputs: Mapping[str, np.ndarray]
    ) -> list[dict[str, Any]]:
        row = np.array(encoded["row"][:])
        chosen = encoded.select_columns(["begins", "ends"])[best.window.tolist()] if len(best.window) else {}
        passages = encoded.select_columns(["context"])[np.flatnonzero(np.diff(row, prepend=-1) > 0).tolist()]["context"]
        likely = np.exp(np.minimum(np.where(none, best.null, best.score) - best.mass, 0.0))
        starts, ends = (outputs[name][best.window].astype(int) for name in ("start", "end"))
        answers = []
        for number, passage in enumerate(passages):
            probability = float(likely[number])
            if none[number]:
                answers.append({"text": "", "start": None, "end": None, "probability": probability})
                continue
            start, end = chosen["begins"][number][starts[number]], chosen["ends"][number][ends[number]]
            whole = passage[start:end]
            start += len(whole) - len(whole.lstrip())
            text = whole.strip()
            answers.append({"text": text, "start": start, "end": start + len(text), "probability": probability})
        return answers

    # The decision

    def decision_outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        return self.outputs(model, batch, known)

    def decision(
        self, outputs: Mapping[str, np.ndarray], encoded: Dataset, headline: Callable[[list], float]
    ) -> Decision:
        """How much further no answer must be ahead than now, to have the best score."""
        best, none = self._judge(outputs, encoded)
        before = headline(self._answer(best, none, encoded, outputs))
        if self.margin is None:
            return Decision(np.zeros(1), before, before)
        answers = self._answer(best, ~np.isfinite(best.score), encoded, outputs)
        nothing = [{**answer, "text": "", "start": None, "end": None} for answer in answers]
        ahead = (best.null - best.score)[np.isfinite(best.score)]

        def score(margin: float) -> float:
            without = best.null - best.score > margin
            return headline([empty if no else full for no, empty, full in zip(without, nothing, answers, strict=True)])

        candidates = candidate_margins(ahead, self.margin)
        scores = {margin: score(margin) for margin in candidates}
        chosen = max(candidates, key=lambda margin: (scores[margin], -abs(margin - self.margin)))
        return Decision(np.array([chosen - self.margin]), before, scores[chosen])

    def apply(self, decision: Decision, head: Sequence[nn.Parameter], config: PreTrainedConfig) -> bool:
        """Move the margin of no answer in the configuration; no parameter of the head can hold it."""
        self.margin += float(decision.shift[0])
        setattr(config, MARGIN, self.margin)
        return True


def candidate_margins(ahead: np.ndarray, present: float) -> list[float]:
    """Margins to try: the present one, and some between every two of `MARGINS` evenly spaced quantiles."""
    if not len(ahead):
        return [present]
    ordered = np.sort(ahead)
    between = (ordered[1:] + ordered[:-1]) / 2
    places = np.linspace(0, len(between) - 1, min(MARGINS, len(between))).round().astype(int)
    ends = [float(ordered[0]) - 1, float(ordered[-1]) + 1]
    return list(dict.fromkeys([present, *between[places].tolist(), *ends]))


def logits_of(output: Output) -> tuple[Tensor, Tensor]:
    """The logits of starts and ends in single precision, (batch, tokens) each."""
    return output["start_logits"].float(), output["end_logits"].float()
