"""Bytes of any length in the outputs of a codec, which are arrays of numbers: four of them make a word."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

WORD = 4  # bytes


def to_words(packed: Sequence[bytes]) -> dict[str, Tensor]:
    """The bytes of every row as `words`, (rows, the most of them), and how many `bytes` each has, (rows,)."""
    words = np.zeros((len(packed), -(-max(map(len, packed)) // WORD)), np.int32)
    for row, one in enumerate(packed):
        words[row].view(np.uint8)[: len(one)] = np.frombuffer(one, np.uint8)
    return {"words": torch.from_numpy(words), "bytes": torch.tensor(list(map(len, packed)))}


def from_words(words: np.ndarray, length: int) -> bytes:
    """The bytes of one row."""
    return words.astype(np.int32).tobytes()[:length]
