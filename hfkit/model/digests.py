"""A short fingerprint of tensors."""

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from hfkit.model.parallel import local_part


def digest(tensors: Iterable[Tensor]) -> bytes:
    """16 bytes that change with any bit of the tensors. Of a sharded tensor, only the local part counts."""
    hasher = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        hasher.update(local_part(tensor.detach()).cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return hasher.digest()
