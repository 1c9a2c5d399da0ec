"""One process of a run on two, in which something goes wrong: `rank.py FAULT RECIPE FLAGS`, started by a launcher."""

import os
import runpy
import signal
import sys
import time
from collections.abc import Callable

from accelerate.utils import DistributedType
from transformers import TrainerCallback

import hfkit
from hfkit.errors import UserError

STEP = 8  # after which it happens
FAULT = "FAULT"  # printed at that moment


def announce() -> None:
    print(f"{FAULT} {time.time()}", file=sys.stderr, flush=True)


def raise_error() -> None:
    raise RuntimeError("a fault of the test")


def raise_user_error() -> None:
    raise UserError("x", "it is wrong on one process", "Mend it")


def ask_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


ACTS: dict[str, Callable[[], object]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "raise": raise_error,
    "user-error": raise_user_error,
    "exit-0": lambda: os._exit(0),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "sleep": lambda: time.sleep(3600),
    "term": ask_to_end,
}


def main() -> None:
    # "healthy", or what happens and where: kill, kill@0 (on process 0), kill@save, kill@report. With +parts the model
    # is in parts over both.
    given, _, parts = sys.argv[1].partition("+")
    what, _, where = given.partition("@")
    sys.argv = sys.argv[2:]
    strikes = int(os.environ["RANK"]) == (0 if where in ("0", "report") else 1)
    trainer = hfkit.TransferTrainer

    def act() -> None:
        announce()
        ACTS[what]()

    class Fault(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            if not strikes or state.global_step != STEP or where in ("save", "report"):
                return
            if what in ("nan", "drift"):
                announce()
                model.classifier.bias.data.add_(float("nan") if what == "nan" else 1e-4)
            elif what in ACTS:
                act()

    class Faulty(trainer):
        def __init__(self, *args, **kwargs) -> None:
            if parts:  # accelerate shards over GPUs alone; torch does so over processes on CPU as well
                kwargs["args"].distributed_state.distributed_type = DistributedType.MULTI_GPU
            super().__init__(*args, **kwargs)
            self.add_callback(Fault())

        def _save_rng_state(self, folder) -> None:
            if where == "save" and strikes:
                act()
            super()._save_rng_state(folder)

        def publish(self, report) -> None:
            if where == "report" and strikes:
                act()
            super().publish(report)

    hfkit.TransferTrainer = Faulty
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
