"""Whether the faster training is as good: both sides tuned on validation, then compared on test over several seeds.

The rates and plans of both sides are chosen with one seed on the validation split, from as many tries each. Then, seed
by seed, the stock trainer, gradual unfreezing and full fine-tuning run at the same time on one thread each: each keeps
its best epoch by validation, and the test split is looked at once.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.speed import CELLS, FROZEN_EPOCHS, FROZEN_RATES, Cell, Corpus, Work, compared

# Of gradual unfreezing, as many tries as the peer has rates. What makes them cheap is how long the lower blocks stay
# frozen: to the end, the lowest of them to the end, or to 70 % of training.
UPPER = ("--head_only", "0.05", "--unfreeze_stages", "2", "--unfreeze_until", "0.99")
THAWED = ("--head_only", "0.1", "--unfreeze_stages", "2", "--unfreeze_until", "0.7")
LOWER_LATE = ("--head_only", "0.05", "--unfreeze_stages", "3", "--unfreeze_until", "0.99")
PLANS: dict[str, dict[str, tuple[str, ...]]] = {
    "wnut17": {
        "upper-2e-4": (*UPPER, "--learning_rate", "2e-4"),
        "upper-2e-4-longer": (*UPPER, "--learning_rate", "2e-4", "--num_train_epochs", "4"),
        "lower-late-2e-4": (*LOWER_LATE, "--learning_rate", "2e-4"),
        "thawed-2e-4": (*THAWED, "--learning_rate", "2e-4"),
    },
    "banking77": {
        "upper-2e-4": (*UPPER, "--learning_rate", "2e-4"),
        "upper-4e-4": (*UPPER, "--learning_rate", "4e-4"),
        "upper-2e-4-longer": (*UPPER, "--learning_rate", "2e-4", "--num_train_epochs", "4"),
        "thawed-2e-4": (*THAWED, "--learning_rate", "2e-4"),
    },
}
WORKS = (
    Work("gradual unfreezing to the score of full fine-tuning", "stock", "gradual", "train", (2, 2, None)),
    Work("full fine-tuning to the same score", "stock", "full", "train", (2, 2, None)),
)


def grid_cells(corpus: Corpus) -> list[Cell]:
    """The tries of both sides, with one seed."""
    folder = CELLS / corpus.name / "grid"
    tries = {f"stock_{rate}": corpus.peer("--learning_rate", rate, epochs=corpus.epochs) for rate in corpus.rates}
    for plan, flags in PLANS.get(corpus.name, {}).items():
        tries[f"gradual_{plan}"] = corpus.ours("--strategy", "gradual", *flags, epochs=corpus.epochs)
    for rate in FROZEN_RATES:
        tries[f"stock-frozen_{rate}"] = corpus.peer("--learning_rate", rate, "--frozen", "--last", epochs=FROZEN_EPOCHS)
        head = ("--strategy", "feature-extraction", "--head_learning_rate", rate, "--last")
        tries[f"frozen_{rate}"] = corpus.ours(*head, epochs=FROZEN_EPOCHS)
    return [(folder / f"{name}.json", [command]) for name, command in tries.items()]


def chosen(corpus: Corpus) -> dict[str, str]:
    """The rate, or the name of the plan, best on validation, by contender; a usual one where none was tried."""
    usual = {
        "stock": corpus.rates[len(corpus.rates) // 2],
        "stock-frozen": FROZEN_RATES[-1],
        "frozen": FROZEN_RATES[-1],
    }
    best: dict[str, tuple[float, str]] = {contender: (-1.0, rate) for contender, rate in usual.items()}
    for path, _ in grid_cells(corpus):
        if path.is_file():
            contender, _, tried = path.stem.partition("_")
            best[contender] = max(best.get(contender, (-1.0, "")), (validation_score(path), tried))
    return {contender: tried for contender, (_, tried) in best.items()}


def validation_score(path: Path) -> float:
    """The headline on validation, before a decision was tuned there."""
    cell = json.loads(path.read_text())
    return cell.get("validation_as_trained", cell["validation"])[cell["headline"]]


def seed_cells(corpus: Corpus, best: dict[str, str], seed: int) -> list[Cell]:
    """What runs at the same time for one seed. Full fine-tuning takes the rate that was best for the peer."""
    rate, seeds = ("--learning_rate", best["stock"]), ("--seed", str(seed))
    plan = PLANS[corpus.name][best["gradual"]]
    runs = {
        "stock": corpus.peer(*rate, *seeds, epochs=corpus.epochs),
        "gradual": corpus.ours("--strategy", "gradual", *plan, *seeds, epochs=corpus.epochs),
        "full": corpus.ours("--strategy", "full", *rate, *seeds, epochs=corpus.epochs),
    }
    folder = CELLS / corpus.name / "seeds" / str(seed)
    return [(folder / f"{name}.json", [command]) for name, command in runs.items()]


def quality_rows(corpus: Corpus) -> list[dict[str, Any]]:
    folders = sorted((CELLS / corpus.name / "seeds").glob("*"))
    rows = [compared(corpus, work, 1, folders, corpus.judged()) for work in WORKS] if folders else []
    return [row | {"seeds": [int(folder.name) for folder in folders]} for row in rows if row]


def grid_rows(corpora: Iterable[Corpus]) -> list[dict[str, Any]]:
    """Every try with its score on validation, for whoever wants to see how even the tuning was."""
    rows = []
    for corpus in corpora:
        best = chosen(corpus)
        for path, _ in grid_cells(corpus):
            if path.is_file():
                contender, _, tried = path.stem.partition("_")
                rows.append(
                    {
                        "dataset": corpus.name,
                        "contender": contender,
                        "tried": tried,
                        "flags": " ".join(PLANS.get(corpus.name, {}).get(tried, ())),
                        "validation": validation_score(path),
                        "chosen": best[contender] == tried,
                    }
                )
    return rows
