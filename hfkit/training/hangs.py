"""Training on several processes ends where one of them hangs (see `hfkit.runtime.hangs`)."""

from collections.abc import Iterator
from contextlib import contextmanager

from accelerate.utils import gather_object
from transformers import TrainerCallback

from hfkit.arguments.training import TransferArguments
from hfkit.runtime.hangs import Place, Watch


class EndHangs(TrainerCallback):
    """Has the processes of a run watch each other, from the beginning of the first training to their end."""

    def __init__(self, args: TransferArguments) -> None:
        self.args = args
        self.watch: Watch | None = None

    @contextmanager
    def training(self) -> Iterator[None]:
        """Within it no process may end before the others."""
        if self.args.world_size == 1:
            yield
            return
        if self.watch is None:
            self.watch = Watch(gather_object([Place.find_own()]))
            self.watch.start()
        self.watch.training = True
        try:
            yield
        finally:
            self.watch.training = self.watch.stepping = False

    # Called by the training loop

    def on_step_begin(self, args, state, control, **kwargs):
        self._step(True)

    def on_step_end(self, args, state, control, **kwargs):
        # Up to the next step, for they wait for each other when its labels are counted.
        self._step(not (control.should_save or control.should_evaluate))

    def on_epoch_end(self, args, state, control, **kwargs):
        self._step(False)

    def _step(self, stepping: bool) -> None:
        if self.watch is not None:
            self.watch.stepping = stepping
