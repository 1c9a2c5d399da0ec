"""Windows of questions and passages, and answers from their logits: CPU seconds beside the loops of run_qa.py.

    OMP_NUM_THREADS=1 python benchmarks/qa_windows.py --checkpoint sample --result benchmarks/results/qa_windows.json

Both sides make 10,000 windows or more of the same made-up rows (several questions a passage, as in SQuAD), and turn the
same random logits into one answer a row. The stock side is `prepare_validation_features` and
`postprocess_qa_predictions` of transformers' run_qa.py, written plainly once more below, with its 20 best starts and
ends. Ours compares every stretch of up to 30 tokens. No model runs. Rounds alternate; each measures one CPU thread.
"""

import argparse
import collections
import json
import random
import shlex
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, Value
from transformers import AutoTokenizer

from hfkit.runtime.machine import environment
from hfkit.tasks import QuestionAnswering
from hfkit.tasks.spans.target import Stretches

WINDOWS, LENGTH, STRIDE, LONGEST, BEST, NULL = 10_000, 384, 128, 30, 20, 0.0
PASSAGES, QUESTIONS, WORDS, BATCH = 400, 5, (200, 2400), 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--checkpoint", default="sample")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--result", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    task = QuestionAnswering(max_length=LENGTH, stride=STRIDE, max_answer_tokens=LONGEST)
    codec = task.codec(args.checkpoint, Stretches(NULL))
    tokenizer = AutoTokenizer.from_pretrained(codec.path)
    rows = make_rows(PASSAGES)
    rounds: list[dict[str, Any]] = []
    for number in range(args.rounds):
        ours, texts = run_ours(codec, rows)
        print(json.dumps(ours), flush=True)
        stock, theirs = run_stock(tokenizer, rows)
        same = sum(one == other for one, other in zip(texts, theirs, strict=True)) / len(rows)
        rounds.append({"ours": ours, "stock": stock, "same_answers": same})
        print(json.dumps(rounds[-1] | {"round": number}), flush=True)
    windows = rounds[0]["ours"]["windows"]
    totals = {
        side: [one[side]["windows_seconds"] + one[side]["answers_seconds"] for one in rounds]
        for side in ("ours", "stock")
    }
    ratios = [stock / ours for stock, ours in zip(totals["stock"], totals["ours"], strict=True)]
    result = {
        "schema": "hfkit.qa_windows/1",
        "command": shlex.join(["python", *sys.argv]),
        "rows": len(rows),
        "windows": windows,
        "ours_cpu_seconds": median(totals["ours"]),
        "ours_cpu_seconds_for_10000": median(totals["ours"]) * WINDOWS / windows,
        "stock_cpu_seconds": median(totals["stock"]),
        "ratio": {"median": median(ratios), "least": min(ratios), "most": max(ratios)},
        "same_answers": min(one["same_answers"] for one in rounds),
        "rounds": rounds,
        "environment": environment(),
    }
    print(json.dumps({key: result[key] for key in ("windows", "ours_cpu_seconds_for_10000", "ratio", "same_answers")}))
    if args.result:
        args.result.write_text(json.dumps(result, indent=1) + "\n")


def make_rows(passages: int) -> Dataset:
    """Passages of made-up words, each with some questions about it."""
    draw = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(3000)]
    found: dict[str, list] = {"question": [], "context": []}
    for _ in range(passages):
        passage = " ".join(draw.choices(words, k=draw.randint(*WORDS) // 4))
        found["question"] += [" ".join(draw.choices(words, k=8)) + "?" for _ in range(QUESTIONS)]
        found["context"] += [passage] * QUESTIONS
    kinds = {"question": Value("string"), "context": Value("string")}
    return Dataset.from_dict(found, features=Features(kinds))


def make_logits(windows: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Random logits of starts and ends."""
    draw = np.random.default_rng(0)
    return tuple(draw.normal(0, 3, (windows, width)).astype(np.float32) for _ in range(2))


def run_ours(codec: Any, rows: Dataset) -> tuple[dict[str, Any], list[str]]:
    began = time.process_time()
    encoded = codec.encode(rows, split="test", answers=False)
    encoding = time.process_time() - began
    starts, ends = map(torch.from_numpy, make_logits(len(encoded), LENGTH))
    # Outputs are made of batches as the trainer has them, which the collator has made for the model already.
    numbers = encoded.select_columns(["first", "null"]).with_format("torch")[:]
    inside = torch.tensor([len(begins) for begins in encoded["begins"][:]])
    began = time.process_time()
    pieces = []
    for place in range(0, len(encoded), BATCH):
        part = slice(place, place + BATCH)
        batch = {"first": numbers["first"][part].long(), "null": numbers["null"][part].long(), "inside": inside[part]}
        known = {"start_logits": starts[part], "end_logits": ends[part]}
        pieces.append(codec.outputs(None, batch, known))
    outputs = {name: np.concatenate([piece[name].numpy() for piece in pieces]) for name in pieces[0]}
    answers = codec.decode(outputs, encoded)
    deciding = time.process_time() - began
    seconds = {"windows": len(encoded), "windows_seconds": encoding, "answers_seconds": deciding}
    return seconds, [answer["text"] for answer in answers]


def run_stock(tokenizer: Any, rows: Dataset) -> tuple[dict[str, Any], list[str]]:
    def prepare(examples: dict[str, list]) -> dict[str, list]:
        examples["question"] = [question.lstrip() for question in examples["question"]]
        tokenized = tokenizer(
            examples["question"],
            examples["context"],
            truncation="only_second",
            max_length=LENGTH,
            stride=STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding="max_length",
        )
        sample_mapping = tokenized.pop("overflow_to_sample_mapping")
        tokenized["example_id"] = []
        for i in range(len(tokenized["input_ids"])):
            sequence_ids = tokenized.sequence_ids(i)
            tokenized["example_id"].append(examples["id"][sample_mapping[i]])
            tokenized["offset_mapping"][i] = [
                (o if sequence_ids[k] == 1 else None) for k, o in enumerate(tokenized["offset_mapping"][i])
            ]
        return tokenized

    rows = rows.add_column("id", list(range(len(rows))))
    began = time.process_time()
    features = rows.map(prepare, batched=True, remove_columns=rows.column_names, load_from_cache_file=False)
    encoding = time.process_time() - began
    starts, ends = make_logits(len(features), LENGTH)
    began = time.process_time()
    texts = postprocess(rows, features, starts, ends)
    deciding = time.process_time() - began
    return {"windows": len(features), "windows_seconds": encoding, "answers_seconds": deciding}, texts


def postprocess(examples: Dataset, features: Dataset, starts: np.ndarray, ends: np.ndarray) -> list[str]:
    """`postprocess_qa_predictions` of run_qa.py, with answers that may be none; its files and logs left out."""
    example_id_to_index = {k: i for i, k in enumerate(examples["id"])}
    features_per_example = collections.defaultdict(list)
    for i, feature in enumerate(features):
        features_per_example[example_id_to_index[feature["example_id"]]].append(i)
    texts = []
    for example_index, example in enumerate(examples):
        min_null_prediction, prelim_predictions = None, []
        for feature_index in features_per_example[example_index]:
            start_logits, end_logits = starts[feature_index], ends[feature_index]
            offset_mapping = features[feature_index]["offset_mapping"]
            feature_null_score = start_logits[0] + end_logits[0]
            if min_null_prediction is None or min_null_prediction["score"] > feature_null_score:
                min_null_prediction = {"offsets": (0, 0), "score": feature_null_score}
            start_indexes = np.argsort(start_logits)[-1 : -BEST - 1 : -1].tolist()
            end_indexes = np.argsort(end_logits)[-1 : -BEST - 1 : -1].tolist()
            for start_index in start_indexes:
                for end_index in end_indexes:
                    if (
                        start_index >= len(offset_mapping)
                        or end_index >= len(offset_mapping)
                        or offset_mapping[start_index] is None
                        or len(offset_mapping[start_index]) < 2
                        or offset_mapping[end_index] is None
                        or len(offset_mapping[end_index]) < 2
                    ):
                        continue
                    if end_index < start_index or end_index - start_index + 1 > LONGEST:
                        continue
                    prelim_predictions.append(
                        {
                            "offsets": (offset_mapping[start_index][0], offset_mapping[end_index][1]),
                            "score": start_logits[start_index] + end_logits[end_index],
                            "start_logit": start_logits[start_index],
                            "end_logit": end_logits[end_index],
                        }
                    )
        prelim_predictions.append(min_null_prediction)
        null_score = min_null_prediction["score"]
        predictions = sorted(prelim_predictions, key=lambda x: x["score"], reverse=True)[:BEST]
        if not any(p["offsets"] == (0, 0) for p in predictions):
            predictions.append(min_null_prediction)
        context = example["context"]
        for pred in predictions:
            offsets = pred.pop("offsets")
            pred["text"] = context[offsets[0] : offsets[1]]
        if len(predictions) == 0 or (len(predictions) == 1 and predictions[0]["text"] == ""):
            predictions.insert(0, {"text": "empty", "start_logit": 0.0, "end_logit": 0.0, "score": 0.0})
        scores = np.array([pred.pop("score") for pred in predictions])
        exp_scores = np.exp(scores - np.max(scores))
        for prob, pred in zip(exp_scores / exp_scores.sum(), predictions, strict=True):
            pred["probability"] = prob
        i = 0
        while predictions[i]["text"] == "":
            i += 1
        best = predictions[i]
        difference = null_score - best.get("start_logit", 0.0) - best.get("end_logit", 0.0)
        texts.append("" if difference > NULL else best["text"])
    return texts


if __name__ == "__main__":
    main()
