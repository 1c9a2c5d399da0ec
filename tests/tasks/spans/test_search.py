"""The best stretch, beside a search of all pairs and beside the logic of transformers' run_qa.py."""

import re
import string
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from datasets import Dataset

from hfkit.tasks import QuestionAnswering
from hfkit.tasks.spans.search import add_up, choose_window, find_best
from hfkit.tasks.spans.target import Stretches
from tests.tiny import text as tiny


def test_every_stretch_of_a_passage_is_compared():
    draw = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 20, 15, generator=draw)
    inside = torch.rand(20, 15, generator=draw) > 0.3
    inside[0] = False
    score, first, last = find_best(start, end, inside, 4)
    for row in range(20):
        pairs = [(i, j) for i in range(15) for j in range(i, min(i + 4, 15)) if inside[row, i] and inside[row, j]]
        best = max((start[row, i] + end[row, j], i, j) for i, j in pairs) if pairs else (-torch.inf, 0, 0)
        assert score[row] == best[0]
        assert not pairs or (int(first[row]), int(last[row])) == best[1:]


def test_sums_of_exponentials_are_those_of_all_windows():
    values, row = np.array([1.0, 2.0, -3.0, 700.0]), np.array([0, 0, 1, 1])
    expected = [np.log(np.exp(1) + np.exp(2)), 700.0]
    np.testing.assert_allclose(add_up(values, row, 2), expected)


# What run_qa.py does, written down once more without hfkit


def run_qa_features(tokenizer, rows, longest: int, stride: int):
    tokenized = tokenizer(
        rows["question"][:],
        rows["context"][:],
        truncation="only_second",
        max_length=longest,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding="max_length",
    )
    sample = tokenized.pop("overflow_to_sample_mapping")
    offsets = []
    for number in range(len(sample)):
        sides = tokenized.sequence_ids(number)
        pairs = tokenized["offset_mapping"][number]
        offsets.append([pair if sides[place] == 1 else None for place, pair in enumerate(pairs)])
    tokenized.pop("offset_mapping")
    return dict(tokenized), sample, offsets


def run_qa_predictions(rows, starts, ends, sample, offsets, *, best: int, longest: int, threshold: float | None):
    """`postprocess_qa_predictions` of run_qa.py: the text of the best of `best` starts and ends of each window."""
    features = defaultdict(list)
    for feature, row in enumerate(sample):
        features[row].append(feature)
    texts = []
    for row in range(len(rows)):
        candidates, null = [], None
        for feature in features[row]:
            s, e, where = starts[feature], ends[feature], offsets[feature]
            score = s[0] + e[0]
            if null is None or score < null:
                null = score
            for i in np.argsort(s)[-1 : -best - 1 : -1].tolist():
                for j in np.argsort(e)[-1 : -best - 1 : -1].tolist():
                    if where[i] is None or where[j] is None or j < i or j - i + 1 > longest:
                        continue
                    candidates.append((s[i] + e[j], rows[row]["context"][where[i][0] : where[j][1]]))
        score, text = max(candidates, key=lambda one: one[0])
        texts.append("" if threshold is not None and null - score > threshold else text)
    return texts


def squad_scores(texts: list[str], gold: list[list[str]]) -> tuple[float, float]:
    """Exact match and F1 as SQuAD 2.0's evaluate script has them."""

    def normalise(text: str) -> str:
        text = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    def f1(one: str, other: str) -> float:
        ours, theirs = normalise(one).split(), normalise(other).split()
        same = sum((Counter(ours) & Counter(theirs)).values())
        if not ours or not theirs:
            return float(ours == theirs)
        if same == 0:
            return 0.0
        precision, recall = same / len(ours), same / len(theirs)
        return 2 * precision * recall / (precision + recall)

    exact, shared = [], []
    for text, answers in zip(texts, gold, strict=True):
        answers = [answer for answer in answers if normalise(answer)] or [""]
        exact.append(max(float(normalise(text) == normalise(answer)) for answer in answers))
        shared.append(max(f1(text, answer) for answer in answers))
    return float(np.mean(exact)), float(np.mean(shared))


@pytest.mark.parametrize("may_be_none", [False, True])
def test_answers_and_scores_are_those_of_the_stock_script(checkpoint, may_be_none):
    rows = Dataset.from_list(tiny.questions(40, 3, unanswerable=1.0, sentences=9))
    task = QuestionAnswering(max_length=32, stride=8, max_answer_tokens=6)
    codec = task.codec(checkpoint, Stretches(0.0 if may_be_none else None))
    torch.manual_seed(1)
    model = codec.model().eval()
    torch.nn.init.normal_(model.qa_outputs.weight)  # else all scores are close to one another
    checked = rows.map(lambda row: {"texts": row["answers"]["text"], "starts": row["answers"]["answer_start"]})
    encoded = codec.encode(checked, split="test", answers=False)
    with torch.no_grad():
        batch = codec.collate([encoded[place] for place in range(len(encoded))])
        outputs = {name: value.numpy() for name, value in codec.outputs(model, batch).items()}
        features, sample, offsets = run_qa_features(codec.processor, rows, 32, 8)
        assert sample == encoded["row"][:] and len(set(sample)) == 40 < len(sample)
        stock = model(**{name: torch.tensor(values) for name, values in features.items()})
    threshold = None
    if may_be_none:
        best = choose_window(outputs, np.array(encoded["row"][:]))
        threshold = codec.margin = float(np.median(best.null - best.score))
    ours = codec.decode(outputs, encoded)
    logits = (stock.start_logits.numpy(), stock.end_logits.numpy())
    theirs = run_qa_predictions(rows, *logits, sample, offsets, best=32, longest=6, threshold=threshold)
    assert [answer["text"] for answer in ours] == theirs
    assert theirs.count("") == (20 if may_be_none else 0)
    gold = [row["answers"]["text"] for row in rows]
    exact, f1 = squad_scores(theirs, gold)
    scores = task.judge.score(ours, gold)
    assert scores["f1"] == pytest.approx(f1, abs=1e-9) and scores["exact_match"] == pytest.approx(exact, abs=1e-9)
    assert 0 < f1 < 1
    for answer, row in zip(ours, rows, strict=True):
        assert answer["start"] is None or row["context"][answer["start"] : answer["end"]] == answer["text"]
        assert 0 <= answer["probability"] <= 1


def test_the_probabilities_of_all_stretches_and_of_none_are_one(checkpoint):
    """Of one window: the sum over all starts times the sum over all ends, the token of no answer among both."""
    codec = QuestionAnswering(max_answer_tokens=64).codec(checkpoint, Stretches(0.0))
    model = codec.model().eval()
    rows = Dataset.from_list(tiny.questions(1, 0))
    encoded = codec.encode(rows, split="test", answers=False)
    batch = codec.collate([encoded[0]])
    with torch.no_grad():
        out = model(**codec.inputs(batch))
        (answer,) = codec.decode({k: v.numpy() for k, v in codec.outputs(model, batch).items()}, encoded)
    first, inside = int(batch["first"]), int(batch["inside"])
    kept = [0, *range(first, first + inside)]
    start, end = (logits[0, kept].softmax(-1) for logits in (out.start_logits, out.end_logits))
    table = torch.outer(start, end)
    pairs = torch.triu(table[1:, 1:])
    expected = table[0, 0] if answer["start"] is None else pairs.max()
    assert answer["probability"] == pytest.approx(float(expected), abs=1e-6)
