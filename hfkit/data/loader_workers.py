"""The worker processes of a loader: signals to the whole job do not end them, and a batch without room has a name."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import get_worker_info

from hfkit.errors import Failure
from hfkit.runtime.parents import obey_parent_alone


class NoSharedMemory(Failure):
    """A worker has no room to hand over its batch."""

    def __init__(self, *_: object) -> None:  # torch makes it once more in the main process, from a traceback
        super().__init__(
            "A worker of the loader could not hand over its batch: no room is left for shared memory, in /dev/shm",
            "Make room there (of a container: --shm-size), or set --dataloader_num_workers 0",
        )


def hand_over(batch: Mapping[str, Any]) -> None:
    """Put a batch where the main process finds it, if this is a worker.

    torch would do so in a thread, where an error loses the batch: the main process would wait for it for ever.

    Raises:
        NoSharedMemory: there is no room.
    """
    if get_worker_info() is None:
        return
    obey_parent_alone()
    try:
        for value in batch.values():
            if isinstance(value, Tensor):
                value.share_memory_()
    except RuntimeError as error:
        raise NoSharedMemory from error
