"""Which rows share a batch: texts of like length, so that little of it is padding."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

MEGA_BATCH = 50  # batches that rows are sorted within


class LengthBuckets(Sampler[int]):
    """Rows in an order whose consecutive batches hold texts of like length, another one in every epoch.

    The rows are shuffled, sorted by length within every `MEGA_BATCH` batches, cut into batches, and the batches are
    shuffled over the whole epoch: sorted rows in a row would be lessons of falling length. The rows that are left over
    come last and as they were drawn, and so only the last batch is smaller. The order is a pure function of seed and
    epoch, which whoever begins an epoch sets as `epoch`.

    Args:
        lengths: tokens of every row.
        batch: rows that are read together, over all processes.
    """

    def __init__(self, lengths: np.ndarray, batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = np.random.default_rng([self.seed, self.epoch])
        rows = draw.permutation(len(self.lengths))
        whole = len(rows) - len(rows) % self.batch
        groups = np.split(rows[:whole], range(MEGA_BATCH * self.batch, whole, MEGA_BATCH * self.batch))
        inside = [group[np.argsort(self.lengths[group], kind="stable")].reshape(-1, self.batch) for group in groups]
        yield from draw.permutation(np.concatenate(inside)).ravel().tolist()
        yield from rows[whole:].tolist()
