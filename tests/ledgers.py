"""Synthetic ledgers: one with everything, one with next to nothing, one with many contenders and classes."""

import copy
import math
import random
from typing import Any

from hfkit.ledger.schema import SCHEMA
from tests.reports import picture

ENVIRONMENT = {
    "python": "3.12.0",
    "platform": "Linux",
    "cpu": "a processor",
    "cores": 4,
    "threads": 1,
    "gpu": "none",
    "versions": {"hfkit": "0.1.0", "torch": "2.13.0"},
    "commit": "0123456789abcdef0123456789abcdef01234567",
}
# name, kind, score, CPU seconds, share of the parameters trained
EIGHT = [
    ("lp-ft", "strategy", 0.913, 212.0, 1.0),
    ("full", "strategy", 0.907, 188.0, 1.0),
    ("lora", "strategy", 0.901, 171.0, 0.012),
    ("gradual", "strategy", 0.897, 240.0, 1.0),
    ("feature-extraction", "strategy", 0.884, 21.0, 0.0004),
    ("scratch", "strategy", 0.672, 305.0, 1.0),
    ("tfidf", "baseline", 0.861, 0.42, 0.0),
    ("majority", "baseline", 0.505, 0.0, 0.0),
]
LONG = [
    *EIGHT,
    ("discriminative learning rates over all blocks, decay 0.9", "strategy", 0.9125, 215.0, 1.0),
    ("re-initialised top 2 of 12 transformer blocks", "strategy", 0.9121, 209.0, 1.0),
    ("surgical-first-third", "strategy", 0.894, 120.0, 0.33),
    ("surgical-middle-third", "strategy", 0.898, 118.0, 0.33),
    ("zero-shot-embedding-similarity-of-label-names", "baseline", 0.744, 8.2, 0.0),
    ("nearest-class-mean-on-frozen-features", "baseline", 0.868, 9.1, 0.0),
    ("few-shot-in-context-nearest-neighbours-calibrated", "baseline", 0.801, 412.0, 0.0),
]


def difference(to: str, by: float, width: float = 0.012, **changes: Any) -> dict[str, Any]:
    p = min(1.0, 2 * math.exp(-((by / width) ** 2) * 2))
    return {
        "to": to,
        "difference": by,
        "low": by - width,
        "high": by + width,
        "p": p,
        "p_holm": min(1.0, 3 * p),
        "different": abs(by) > width,
        "needed_rows": None if abs(by) > width else 5400,
        "needed_seeds": None if abs(by) > width else 9,
        **changes,
    }


def orders(raw: list[float], calibrated: list[float]) -> dict[str, Any]:
    return {"raw": {"headlines": raw, "min": min(raw)}, "calibrated": {"headlines": calibrated}}


def bins(draw: random.Random, bend: float) -> list[dict[str, Any]]:
    found = []
    for i in range(5, 10):
        confidence = (i + 0.5) / 10
        accuracy = min(1.0, max(0.0, confidence - bend * (i - 3) / 10 + draw.uniform(-0.02, 0.02)))
        found.append({"confidence": confidence, "accuracy": accuracy, "rows": 40 * (i - 4) ** 2})
    return found


def contender(name: str, kind: str, score: float, seconds: float, share: float, best: str) -> dict[str, Any]:
    draw = random.Random(name)
    trained = kind == "strategy"
    seeds = []
    for seed in range(3 if trained else 1):
        lost = name == "gradual" and seed == 2
        found = score + (0.0, 0.006, -0.006)[seed]
        curve = [
            {"epoch": float(e), "validation": found - 0.35 * math.exp(-1.1 * e) + draw.uniform(-0.01, 0.01)}
            for e in (range(1, 3) if lost else range(1, 7))
        ]
        seeds.append(
            {
                "seed": seed if trained else None,
                "status": "failed" if lost else "ok",
                "reason": "the loss was not finite at step 41" if lost else "",
                "validation": None if lost else found - 0.004,
                "headline": None if lost else found,
                "scores": {} if lost else {"accuracy": found, "macro_f1": found - 0.02},
                "curve": curve if trained else [],
            }
        )
    reached = [seed["headline"] for seed in seeds if seed["headline"] is not None]
    mean = sum(reached) / len(reached)
    facts: dict[str, Any] = {"chosen on validation": "C = 1.0"} if name == "tfidf" else {}
    if "context" in name:
        facts = {"orders": orders([0.61, 0.70, 0.752, 0.798], [0.77, 0.79, 0.801, 0.81]), "unparseable": 2}
    return {
        "name": name,
        "kind": kind,
        "description": "the head first, then everything" if name == "lp-ft" else "",
        "tuning": {
            "tried": [
                {"learning_rate": rate, "validation": None if rate > 9e-5 else score - abs(math.log10(rate / 3e-5)) / 9}
                for rate in (1e-5, 3e-5, 1e-4)
            ],
            "chosen": 3e-5,
        }
        if trained
        else None,
        "seeds": seeds,
        "failed": sum(seed["status"] == "failed" for seed in seeds),
        "headline": mean,
        "spread": (sum((x - mean) ** 2 for x in reached) / (len(reached) - 1)) ** 0.5 if len(reached) > 1 else None,
        "interval": {"low": mean - 0.021, "high": mean + 0.019, "level": 0.95, "note": ""},
        "difference": None if name == best else difference(best, mean - 0.913),
        "cost": {
            "cpu_seconds": seconds,
            "wall_seconds": seconds / 2,
            "peak_memory_mib": 812.5 if trained else 240.0,
            "tuning_cpu_seconds": 3 * seconds if trained else 0.0,
        },
        "parameters": 22_713_986 if trained else None,
        "trained_parameters": int(share * 22_713_986) if trained else None,
        "latency_ms": 4.31 if trained else 0.052,
        "calibration": {
            "ece": 0.083,
            "ece_scaled": 0.021,
            "temperature": 1.42,
            "bins": bins(draw, 0.25),
            "bins_scaled": bins(draw, 0.02),
        }
        if trained
        else None,
        "facts": facts,
    }


def budget_curves(names: list[tuple]) -> dict[str, Any]:
    curves = []
    for name, kind, score, *_ in names:
        points = []
        for rows in (8, 32, 128, 512, 2000):
            slow = 0.9 if kind == "strategy" else 0.35
            found = 0.5 + (score - 0.5) * (1 - math.exp(-slow * math.log2(rows) ** 2 / 40 - (slow < 0.5) * 0.8))
            width = 0.3 / math.sqrt(rows)
            seeds = [found - width / 2, found + width / 3]
            points.append(
                {"rows": rows, "headline": found, "low": found - width, "high": found + width, "seeds": seeds}
            )
        curves.append({"name": name, "points": points})
    crossovers = [
        {"a": "full", "b": "tfidf", "rows": 61.5, "low": 30, "high": 140}
        | {"text": "full overtakes tfidf at about 62 rows [30, 140]."},
        {"a": "lora", "b": "tfidf", "rows": 66.0, "low": None, "high": None}
        | {"text": "lora overtakes tfidf at about 66 rows."},
    ]
    return {"curves": curves, "crossovers": crossovers}


def class_scores(names: list[tuple], labels: list[str]) -> dict[str, Any]:
    draw = random.Random(0)
    scores = {name: [min(1.0, max(0.0, score + draw.gauss(0, 0.08))) for _ in labels] for name, _, score, *_ in names}
    scores[names[0][0]][-1] = None
    return {"labels": labels, "scores": scores, "metric": "f1"}


def made(names: list[tuple], labels: list[str]) -> dict[str, Any]:
    best = names[0][0]
    return {
        "schema": SCHEMA,
        "created": "2025-01-02T03:04:05+00:00",
        "command": "hfkit compare --recipe recipes/bert_sentiment.py --seeds 3 --label_budgets 8,32,128,512,all",
        "title": "Which way of reusing MiniLM is best for short reviews?",
        "settings": {"seeds": 3, "tune": True, "max_length": None},
        "seed": 0,
        "task": {"name": "text-classification", "headline": "accuracy", "unit": "text", "dataset": "owner/reviews"},
        "checkpoint": "owner/small-encoder",
        "rows": {"train": 2000, "train_available": 9003, "validation": 500, "test": 1211},
        "notes": ["Training rows were capped at 2,000 by a draw with seed 0."],
        "contenders": [contender(*row, best=best) for row in reversed(names)],
        "failed": [
            {"name": "gradual", "seed": 2, "reason": "the loss was not finite at step 41"},
            {"name": "surgical-last", "seed": 0, "reason": "out of memory"},
        ],
        "skipped": [{"name": "zero-shot-clip", "reason": "the task has no pictures"}],
        "pairs": {
            "scratch": difference("scratch", 0.241, p_holm=None),
            "baseline": difference("tfidf", 0.009, p_holm=None),
        },
        "verdict": {
            "sentences": [
                {"rule": "best", "text": f"{best} is the best of {len(names)}: accuracy 0.913, 0.052 above tfidf."},
                {"rule": "noise", "text": "It cannot be told from full and lora on 1,211 test texts."},
                {"rule": "transfer", "text": "Transfer is positive: 0.241 above training from scratch."},
                {"rule": "worth", "text": "The gain over tfidf costs 212 CPU seconds a run against 0.4."},
            ],
            "next": ["Label about 4,200 more test texts to tell lp-ft from full.", "Try lora with rank 16."],
        },
        "budgets": budget_curves(names),
        "classes": class_scores(names, labels),
        "disagreements": [
            {
                "row": 17 + i,
                "shown": text,
                "picture": image,
                "gold": labels[0],
                "right": name,
                "answers": {other: labels[(0 if other == name else 1 + k % 2)] for k, (other, *_) in enumerate(names)},
            }
            for i, (name, text, image) in enumerate(
                [
                    (best, "Not half as bad as the trailer, which is to say: go and see it.", None),
                    (names[len(names) // 2][0], "The plot is thin. " * 30, None),
                    (names[-1][0], "", picture(8)),
                ]
            )
        ],
        "environment": copy.deepcopy(ENVIRONMENT),
    }


def full() -> dict[str, Any]:
    """Eight contenders and something in every section."""
    ledger = made(EIGHT, ["negative", "neutral", "positive"])
    ledger["contenders"][0]["facts"] = {"orders": orders([0.42, 0.505, 0.56, 0.61], [0.5, 0.505, 0.51, 0.52])}
    return ledger


def minimal() -> dict[str, Any]:
    """One baseline, and nothing where nothing may be."""
    ledger = made(EIGHT[-1:], ["negative", "positive"])
    ledger["contenders"][0]["facts"] = {}
    return ledger | {
        "settings": {},
        "notes": [],
        "failed": [],
        "skipped": [],
        "pairs": {"scratch": None, "baseline": None},
        "verdict": {"sentences": [], "next": []},
        "budgets": None,
        "classes": None,
        "disagreements": [],
    }


def large() -> dict[str, Any]:
    """Fifteen contenders, some with long names and all but equal scores, and 77 classes."""
    ledger = made(LONG, [f"card_payment_fee_charged_{i}" for i in range(77)])
    for one in ledger["contenders"]:
        one["cost"]["energy_kwh"] = one["cost"]["cpu_seconds"] * 8e-6
    return ledger


def few() -> dict[str, Any]:
    """Five contenders with long names, whose curves share one plot with their bands."""
    return made(LONG[8:13], ["yes", "no", "名前の長い候補者" * 3])


ALL = {"full": full, "minimal": minimal, "large": large, "few": few}
