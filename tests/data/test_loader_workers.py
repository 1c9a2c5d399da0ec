"""A worker of a loader that has no room for its batch says so, and the main process does not wait for ever."""

import os
import resource
import signal

import pytest
import torch
from torch.utils.data import DataLoader

from hfkit.data.loader_workers import NoSharedMemory, hand_over


def collate(numbers: list[int]) -> dict[str, torch.Tensor]:
    batch = {"pictures": torch.full((100_000,), numbers[0], dtype=torch.float32), "rows": torch.tensor(numbers)}
    hand_over(batch)
    return batch


def load(workers: int) -> list[int]:
    loader = DataLoader(range(6), batch_size=2, num_workers=workers, collate_fn=collate)
    return [int(batch["pictures"][-1]) for batch in loader]


def test_batches_arrive_as_they_are_made():
    assert load(workers=2) == load(workers=0) == [0, 2, 4]


def test_a_batch_without_room_ends_the_loader_with_the_way_out():
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # of a file in /dev/shm, too
            with pytest.raises(NoSharedMemory, match="^A worker of the loader .* --dataloader_num_workers 0.$"):
                load(workers=1)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
