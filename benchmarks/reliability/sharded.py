"""T7: a model in parts over two processes (FSDP2): frozen, thawed, damaged on disk, killed, told to end."""

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import digest, flip, make_empty
from benchmarks.reliability.material import make_material
from benchmarks.reliability.ranks import Ended, launch
from hfkit.training.checkpoints import RUN_FILE

# The last of three stages begins with step 14 of 24; the embeddings thaw in it.
PLAN = ["--strategy", "gradual", "--head_only", "0.25", "--unfreeze_stages", "3", "--unfreeze_until", "0.6"]
PLAN += ["--num_train_epochs", "2", "--save_strategy", "steps", "--save_steps", "4", "--save_total_limit", "9"]
PLAN += ["--eval_strategy", "no", "--load_best_model_at_end", "false", "--resume_from_checkpoint", "auto"]
WHOLE, COPIES = "whole", "copies"


def run(work: Path) -> list[Case]:
    make_material(work / "material")
    cases, made = Cases("T7", work), work / "T7"
    write_config(work)
    for name, sharded in ((WHOLE, True), (COPIES, False)):
        if not (made / name / "report.json").is_file():
            start(work, make_empty(made / name), "healthy", sharded=sharded)
    compare_stages(made, cases)
    for case, fault, damaged in (
        ("a damaged checkpoint is passed over", None, "model.safetensors"),
        ("damaged states of the optimizer are passed over", None, "optimizer.bin"),
        ("a killed process ends the other, and the run goes on", "kill", None),
        ("a process that is told to end stops both, and the run goes on", "term", None),
    ):
        if not cases.has(case):
            cases.add(case, *go_on(work, made, fault, damaged))
    return cases


def compare_stages(made: Path, cases: Cases) -> None:
    """Look at the checkpoints of a run: what the plan freezes keeps its bits, and what it thaws moves."""
    if cases.has(thawed := "thawed: they all learn, as in whole copies"):
        return
    first, frozen, last = (load_file(made / WHOLE / f"checkpoint-{step}" / "model.safetensors") for step in (4, 12, 24))
    below = [name for name in first if "embeddings" in name or "layer.0" in name]
    moved = largest_difference(first, frozen, below)
    cases.add("frozen: the lower layers keep their bits", moved == 0, f"they moved by {moved}")
    moved = min(largest_difference(frozen, last, [name]) for name in below if "key.bias" not in name)
    copies = load_file(made / COPIES / "model.safetensors")
    apart = largest_difference(load_file(made / WHOLE / "model.safetensors"), copies, list(copies))
    told = f"each moved by {moved:.1e} or more; the model is {apart:.1e} from one trained in copies"
    cases.add(thawed, moved > 1e-6 and apart < 1e-4, told)


def go_on(work: Path, made: Path, fault: str | None, damaged: str | None) -> tuple[bool, str]:
    """Whether the same command ends as the run that nothing happened to."""
    place, told = make_empty(made / "run"), ""
    if fault is not None:
        ended = start(work, place, fault)
        told = f"exit code {ended.code} after {ended.seconds:.0f} s: {ended.errors}; "
        if ended.code in (0, None):
            return False, told
    else:
        shutil.copytree(made / WHOLE, place, dirs_exist_ok=True)
        for path in place.iterdir():
            if path.is_file() and path.name != RUN_FILE:  # as if it had been killed before it was done
                path.unlink()
        file = place / "checkpoint-24" / damaged
        file.write_bytes(flip(file.read_bytes()))
    again = start(work, place, "healthy")
    equal = digest(place / "model.safetensors") == digest(made / WHOLE / "model.safetensors")
    return again.code == 0 and equal, f"{told}exit code {again.code}, {'equal' if equal else 'DIFFERENT'}"


def start(work: Path, place: Path, fault: str, *, sharded: bool = True) -> Ended:
    parts = ["--fsdp", "--fsdp_config", str(work / "fsdp.json")] if sharded else []
    return launch(work, f"{fault}+parts" if sharded else fault, *PLAN, *parts, place=place)


def write_config(work: Path) -> None:
    config = {
        "fsdp_version": 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_reshard_after_forward": True,
        "fsdp_offload_params": False,
        "fsdp_cpu_ram_efficient_loading": False,
        "fsdp_activation_checkpointing": False,
        "fsdp_state_dict_type": "FULL_STATE_DICT",
    }
    (work / "fsdp.json").write_text(json.dumps(config))


def largest_difference(one: dict[str, Tensor], two: dict[str, Tensor], names: list[str]) -> float:
    return max((one[name] - two[name]).abs().max().item() for name in names)
