"""One worker of the two-process tests: train each job, and write the digest of its own weights."""

import json
import os
import sys
from pathlib import Path

import torch
import yaml

from hfkit import run
from hfkit.model.parallel import whole
from hfkit.training.invariants import BrokenPromise, digest
from tests.runs import at, trainer


def main() -> None:
    for job in json.loads(sys.argv[1]):
        train(job, rank=int(os.environ.get("RANK", 0)))


def train(job: dict, rank: int) -> None:
    output = Path(job["output"])
    parts = {"sharded": True, "fsdp": True, "fsdp_config": shipped()} if job.get("sharded") else {}
    worker = trainer(job["checkpoint"], job["corpus"], output, **job["flags"], **parts)
    if job.get("without_dropout"):
        remove_dropout(worker.model)
    if job.get("tamper"):

        def drift(*_, **__):
            if rank == 1 and worker.state.global_step == job["tamper"]:
                worker.model.classifier.weight.data[0] += 1e-3

        worker.add_callback(at("on_step_end", drift))
    try:
        worker.train(resume_from_checkpoint=job.get("resume"))
    except BrokenPromise as error:
        if not job.get("told"):
            raise
        (output / f"broken-{rank}.txt").write_text(str(error))
        return
    (output / f"rank-{rank}.txt").write_text(digest(map(whole, worker.model.state_dict().values())).hex())
    worker.save_model()
    (output / f"answers-{rank}.json").write_text(json.dumps(worker.predictions(worker.eval_dataset)))
    if rank == 0:
        (output / "checked.json").write_text(json.dumps(worker.invariants.checked))
        log = {name: value for entry in worker.state.log_history for name, value in entry.items()}
        losses = [entry[name] for entry in worker.state.log_history for name in ("loss", "eval_loss") if name in entry]
        (output / "log.json").write_text(json.dumps({**log, "losses": losses}))


def shipped() -> dict:
    """How recipes/accelerate/fsdp2.yaml shards."""
    file = Path(__file__).parents[1] / "recipes" / "accelerate" / "fsdp2.yaml"
    return yaml.safe_load(file.read_text())["fsdp_config"]


def remove_dropout(model: torch.nn.Module) -> None:
    """Two processes draw other masks than one: equal weights need none."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


if __name__ == "__main__":
    run(main)
