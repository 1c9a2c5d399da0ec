"""The most confident mistakes of a model of pictures, and the places that its answers rest on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from torch import nn

from hfkit.contract.abilities import Explained
from hfkit.contract.codec import Codec
from hfkit.contract.target import names_of
from hfkit.contract.task import Task
from hfkit.contract.view import Choice, Picture, to_text
from hfkit.errors import UserError

MOST = 12  # mistakes
SIDE = 128  # pixels of the longer side of a map


def explain_mistakes(
    task: Task,
    codec: Codec,
    model: nn.Module,
    rows: Dataset,
    predictions: Sequence[Any],
    likelihoods: np.ndarray | None,
) -> list[dict[str, Any]]:
    """The `MOST` most confident mistakes, as `Report.explain` takes them; [] if the codec knows no places.

    Where the model has no places either, one line says why.

    Args:
        rows: with gold answers, and their predictions.
        likelihoods: of the labels, (rows, labels) (see `Likely`); None for other kinds of answers.
    """
    if not isinstance(codec, Explained):
        return []
    chosen = choose_mistakes(task, predictions, rows, names_of(codec.target), likelihoods)
    wrong = rows.select([row for row, _ in chosen])
    answers = [predictions[row] for row, _ in chosen]
    try:
        maps = codec.saliency(model, codec.encode(wrong, split="test", answers=False), answers) if chosen else []
    except UserError as error:
        print(f"No maps of where the model looks: {error.value}: {error.rule}")
        return []
    gold = task.rows.references(wrong) if chosen else []
    entries = []
    for place, (row, confidence) in enumerate(chosen):
        shown = task.view.row(wrong[place])
        if isinstance(shown, Picture):
            entry = {"row": row, "confidence": confidence, "picture": shown.uri}
            entry["looked_at"] = codec.overlay(wrong[place], maps[place], SIDE).uri
            entry |= {
                name: to_text(task.view.answer(answer, wrong[place]))
                for name, answer in (("gold", gold[place]), ("predicted", answers[place]))
            }
            entries.append(entry)
    return entries


def choose_mistakes(
    task: Task, predictions: Sequence[Any], rows: Dataset, labels: Sequence[str], likelihoods: np.ndarray | None
) -> list[tuple[int, float | None]]:
    """Rows with wrong answers and the confidence in each, the most confident first; of numbers those furthest off."""
    references = task.rows.references(rows)
    if likelihoods is None or task.view.answers is not Choice:
        return [(one.row, None) for one in task.view.mistakes(list(predictions), references, rows, MOST)]
    found = []
    for row, (answer, gold) in enumerate(zip(predictions, references, strict=True)):
        ours, theirs = (task.view.answer(each, {}) for each in (answer, gold))
        if set(ours.labels) != set(theirs.labels):
            known = dict(zip(labels, likelihoods[row].tolist(), strict=True))
            found.append((row, confidence_in(ours, theirs, known)))
    return sorted(found, key=lambda one: -one[1])[:MOST]


def confidence_in(ours: Choice, gold: Choice, likelihoods: Mapping[str, float]) -> float:
    """The probability of the label, or of several labels that of the decision that is most clearly wrong."""
    if not ours.several:
        return likelihoods[ours.labels[0]]
    invented = [likelihoods[label] for label in ours.labels if label not in gold.labels]
    missed = [1 - likelihoods.get(label, 0.0) for label in gold.labels if label not in ours.labels]
    return max(invented + missed)
