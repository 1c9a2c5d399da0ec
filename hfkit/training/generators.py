"""The random generators of this process, kept and put back, so that what comes between two steps changes no draw."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def read_generators() -> dict[str, Any]:
    """The states of python's, numpy's and torch's generators, those of GPUs included."""
    states = {"python": random.getstate(), "numpy": np.random.get_state(), "cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def set_generators(states: dict[str, Any]) -> None:
    """Put back what `read_generators` returned."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state_all(states["cuda"])


@contextmanager
def draw_for_one_loader() -> Iterator[None]:
    """Whatever is drawn within, torch's generator moves on by the one number that a loader takes, and no other moves.

    So an evaluation that samples answers changes no step of training. The one number is what evaluations without any
    randomness have always taken: results with them stay the same. If the block fails, as in a signal, nothing was
    drawn: a checkpoint written then has the state from before the evaluation, which a resumed run makes up for.
    """
    before = read_generators()
    try:
        yield
    except BaseException:
        set_generators(before)
        raise
    set_generators(before)
    torch.empty((), dtype=torch.int64).random_()
