"""A soup of the best weights along one training (Wortsman et al. 2022, "Model soups", the greedy recipe).

What was evaluated in training is tried from the best on: each is kept if the average with it is no worse on validation.
The weights wait in the output directory, sealed like checkpoints, until the choice is made.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hfkit.training.averages.statistics import Run, find_moved, measure_statistics
from hfkit.training.checkpoints import SOUP
from hfkit.training.resuming import announce
from hfkit.training.saving import write_sealed
from hfkit.training.sealed import delete, find_fault

WEIGHTS = "weights.safetensors"
NAME = re.compile(r"step-(\d+)")


def rank_steps(log: Sequence[Mapping[str, Any]], key: str, sign: int, count: int) -> list[int]:
    """The steps of the best evaluations in a log, best first; of equal ones the earliest, as the stock trainer chooses.

    Args:
        key: the score, as the log has it.
        sign: -1 where a lower score is better.
        count: so many at most.
    """
    scores = {entry["step"]: sign * entry[key] for entry in log if key in entry}
    return sorted(scores, key=lambda step: (-scores[step], step))[:count]


class Ingredients:
    """The weights of the best evaluations so far, one sealed folder for each, below the output directory."""

    def __init__(self, output: Path) -> None:
        self.folder = output / SOUP

    def place(self, step: int) -> Path:
        return self.folder / f"step-{step}"

    def list_steps(self) -> list[int]:
        """The steps whose weights are there, whole or not."""
        names = [NAME.fullmatch(path.name) for path in self.folder.glob("step-*")]
        return sorted(int(name[1]) for name in names if name)

    def begin(self, checkpoint: Path | None, step: int) -> None:
        """Make ready for the steps behind `step`: delete what an earlier training has left of them.

        Args:
            checkpoint: where a resumed run goes on; from another output directory its ingredients are copied.
            step: where training begins. What was evaluated there is kept: a head may have been fitted just now.
        """
        if checkpoint is not None and not checkpoint.parent.samefile(self.folder.parent):
            self.clear()
            other = Ingredients(checkpoint.parent)
            for one in other.list_steps():
                if one <= step:
                    shutil.copytree(other.place(one), self.place(one))
        for one in self.list_steps():
            if one > step:
                delete(self.place(one))

    def write(self, trainer: Any, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep the weights of a step. All processes have to ask."""
        with write_sealed(trainer, self.place(step)) as folder:
            if trainer.args.should_save:
                held = {name: value.detach().contiguous() for name, value in tensors.items()}
                save_file(held, folder / WEIGHTS)

    def keep(self, steps: Sequence[int]) -> None:
        """Delete all but these."""
        for one in set(self.list_steps()) - set(steps):
            delete(self.place(one))

    def find_whole(self, steps: Sequence[int]) -> list[int]:
        """Those of some steps whose weights are there as they were written; of each other one a line says why not."""
        whole = []
        for step in steps:
            fault = find_fault(self.place(step)) if self.place(step).is_dir() else "nothing is left"
            if fault is None:
                whole.append(step)
            else:
                announce(f"Soup: the weights of step {step} are left out: {fault}.")
        return whole

    def read(self, step: int) -> dict[str, Tensor]:
        return load_file(self.place(step) / WEIGHTS)

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def cook(
    run: Run,
    tensors: Mapping[str, Tensor],
    start: Mapping[str, Tensor],
    steps: Sequence[int],
    read: Callable[[int], Mapping[str, Tensor]],
    headline: Callable[[], float],
    sign: int,
) -> dict[str, Any]:
    """Give the model the average of the best weights of a training, as many of them as do no harm on validation.

    Args:
        tensors: of the model, all that training may have moved, by name.
        start: their values before training, on the CPU: what was frozen at a step is not in its file.
        steps: of the weights, best first; one at least.
        read: the weights of a step.
        headline: the score of the model as it is, on validation.
        sign: -1 where a lower headline is better.

    Returns:
        The headline `before`, of the best weights alone, and `after`; the `steps` that were kept, and the `scores` of
        all that were tried.
    """

    def complete(step: int) -> dict[str, Tensor]:
        held = read(step)
        return {name: held[name] if name in held else start[name] for name in tensors}

    soup = complete(steps[0])
    fill(tensors, soup)
    before = best = headline()
    kept, scores = [steps[0]], {str(steps[0]): before}
    moved = find_moved(run.model, start)
    for step in steps[1:]:
        fill(tensors, tried := mix(soup, complete(step), 1 / (len(kept) + 1)))
        moved |= find_moved(run.model, start)
        measure_statistics(run, moved.values())
        scores[str(step)] = headline()
        if sign * scores[str(step)] >= sign * best:
            best, soup = scores[str(step)], {name: tensors[name].detach().cpu().clone() for name in tried}
            kept.append(step)
    fill(tensors, soup)
    return {"steps": kept, "before": before, "after": best, "scores": scores}


def mix(soup: Mapping[str, Tensor], other: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """The weights of a soup with a share of others; counters stay."""
    return {
        name: torch.lerp(value, other[name], share) if value.is_floating_point() else value
        for name, value in soup.items()
    }


@torch.no_grad()
def fill(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Give tensors of a model other values."""
    for name, tensor in tensors.items():
        tensor.copy_(values[name])
