"""Random draws as a pure function of seed, epoch and row: a resumed run and any loader worker draw the same."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seed_draws(seed: int, epoch: int, *rows: int) -> Iterator[None]:
    """Seed torch's global CPU generator by these numbers for the length of a block, then restore its state.

    It has to be the global one: torchvision's transforms draw from no other.
    """
    key = np.random.SeedSequence([seed, epoch, *rows]).generate_state(1, np.uint64)[0]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(key >> 1))
        yield


def make_generator(*key: int) -> np.random.Generator:
    """A generator of numpy's that is a pure function of these numbers."""
    return np.random.default_rng(np.random.SeedSequence(key))
