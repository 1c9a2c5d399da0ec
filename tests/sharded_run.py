"""One worker of the slow proof of sharding: each family trained as copies and in parts, and how far they are apart."""

import json
import os
import sys
from pathlib import Path

import torch

from hfkit import run
from hfkit.model.parallel import whole
from hfkit.training.refusals import SHARDED
from tests import test_families
from tests.distributed_run import remove_dropout, shipped
from tests.families import FAMILIES, Family
from tests.runs import shard_on_cpu

# SGD, for Adam divides by gradients near 0; a random encoder of width 16 hardly moves below this rate.
FLAGS = {"optim": "sgd", "learning_rate": 1.0, "per_device_train_batch_size": 2, "eval_strategy": "epoch"}
PARTS = {"fsdp": True, "fsdp_config": shipped()}


def main() -> None:
    place, first = Path(sys.argv[1]), os.environ["RANK"] == "0"
    torch.distributed.init_process_group("gloo")
    proven = [family for family in FAMILIES if family.config().model_type in SHARDED]
    for i, family in enumerate(proven):
        if first:
            (place / str(i)).mkdir()
            family.save(family.pretrained(), place / str(i) / "checkpoint")
    torch.distributed.barrier()
    # All copies before the first parts: accelerate shards all that comes after in the same process.
    copies = [trained(family, place, i, sharded=False) for i, family in enumerate(proven)]
    parts = [trained(family, place, i, sharded=True) for i, family in enumerate(proven)]
    found = {
        family.name: {
            "type": family.config().model_type,
            "apart": max((one[name] - two[name]).abs().max().item() for name in one),
            "moved": max((one[name] - before[name]).abs().max().item() for name in one),
        }
        for family, (before, one), (_, two) in zip(proven, copies, parts, strict=True)
    }
    if first:
        (place / "found.json").write_text(json.dumps(found))


def trained(family: Family, place: Path, i: int, *, sharded: bool) -> tuple[dict, dict]:
    """Whole weights before and after a gradual training."""
    folder = place / str(i)
    worker, _, _ = test_families.trainer(
        family,
        str(folder / "checkpoint"),
        str(place / family.modality),
        folder / ("parts" if sharded else "copies"),
        once_told=shard_on_cpu if sharded else None,
        **FLAGS,
        **(PARTS if sharded else {}),
    )
    remove_dropout(worker.model)
    before = weights(worker.model)
    worker.train()
    return before, weights(worker.model)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: whole(value.detach()).clone() for name, value in model.named_parameters()}


if __name__ == "__main__":
    run(main)
