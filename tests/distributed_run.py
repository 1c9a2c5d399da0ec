"""One worker of the two-process tests: train, then write the digest of its own weights."""

import json
import os
import sys
from pathlib import Path

import torch

from hfkit import run
from hfkit.invariants import digest
from tests.runs import trainer


def main() -> None:
    job = json.loads(sys.argv[1])
    output, flags = Path(job["output"]), job["flags"]
    without_dropout = flags.pop("no_dropout", False)
    rank = int(os.environ.get("RANK", 0))
    worker = trainer(job["checkpoint"], job["corpus"], output, **flags)
    if without_dropout:
        for module in worker.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    if job.get("tamper"):

        def drift(*_, **__):
            if rank == 1 and worker.state.global_step == 2:
                next(worker.model.classifier.parameters()).data[0] += 1e-3

        worker.callback_handler.callbacks[-1].on_step_end = drift
    worker.train(resume_from_checkpoint=job.get("resume"))
    (output / f"rank-{rank}.txt").write_text(digest(worker.model.state_dict().values()).hex())
    worker.save_model()
    if rank == 0:
        (output / "checked.json").write_text(json.dumps(worker.invariants.checked))


if __name__ == "__main__":
    run(main)
