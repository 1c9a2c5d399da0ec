"""The most confident mistakes of a model of pictures, and the places that its answers rest on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from torch import nn

from hfkit.contract.abilities import Explained
from hfkit.contract.codec import Codec
from hfkit.contract.task import Task
from hfkit.contract.view import Picture, to_text
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
    references = task.rows.references(rows)
    chosen = codec.rank_mistakes(list(predictions), references, likelihoods)[:MOST]
    wrong = rows.select([row for row, _ in chosen])
    answers = [predictions[row] for row, _ in chosen]
    try:
        maps = codec.saliency(model, codec.encode(wrong, split="test", answers=False), answers) if chosen else []
    except UserError as error:
        print(f"No maps of where the model looks: {error.value}: {error.rule}")
        return []
    entries = []
    for place, (row, confidence) in enumerate(chosen):
        shown = task.view.row(wrong[place])
        if isinstance(shown, Picture):
            entry = {"row": row, "confidence": confidence, "picture": shown.uri}
            entry["looked_at"] = codec.overlay(wrong[place], maps[place], SIDE).uri
            entry |= {
                name: to_text(task.view.answer(answer, wrong[place]))
                for name, answer in (("gold", references[row]), ("predicted", answers[place]))
            }
            entries.append(entry)
    return entries
