"""Measures what the digests in the seal of a checkpoint cost, beside the whole save of a model of 100 MB.

    python benchmarks/sealing.py

CPU seconds of this process, and seconds by the clock, which include waiting for the disk. Results:
benchmarks/results/sealing.json
"""

import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import xxhash
from transformers import AutoConfig, AutoModel, set_seed

from benchmarks.reliability.material import make_material
from hfkit import TransferArguments, TransferTrainer
from hfkit.tasks import NER
from hfkit.training.sealed import describe, list_files

RESULT = Path(__file__).parent / "results" / "sealing.json"
WIDE = {"hidden_size": 512, "num_hidden_layers": 8, "intermediate_size": 2048, "num_attention_heads": 8}  # 100 MB
ROUNDS = 9
OTHERS = {"sha256": hashlib.sha256, "blake2b": hashlib.blake2b}


def make_trainer(place: Path) -> TransferTrainer:
    """A trainer that has taken its first step, so that its optimizer has a state for every weight."""
    make_material(place / "material")
    checkpoint, dataset = place / "material/bert", place / "material/ner"
    AutoModel.from_config(AutoConfig.from_pretrained(checkpoint, **WIDE)).save_pretrained(checkpoint)
    args = TransferArguments(
        output_dir=str(place / "run"),
        strategy="full",
        max_steps=1,
        save_strategy="no",
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
    )
    task = NER(dataset=str(dataset))
    set_seed(0)
    rows = task.load()
    codec = task.codec(str(checkpoint), rows.target)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    trainer.train()
    return trainer


def measure(act: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds and seconds."""
    cpu, clock = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - cpu, time.perf_counter() - clock


def digest_by(kind: Callable, folder: Path) -> None:
    for name in list_files(folder):
        kind((folder / name).read_bytes()).digest()


def run(trainer: TransferTrainer) -> dict[str, list[tuple[float, float]]]:
    """The save, the digests in it, and what other digests would take, in every round."""
    found: dict[str, list[tuple[float, float]]] = {"save": [], "digests": [], **{name: [] for name in OTHERS}}
    for number in range(ROUNDS + 1):
        trainer.state.global_step, trainer.args.save_total_limit = number + 2, 1
        save = measure(lambda: trainer._save_checkpoint(trainer.model, None))
        folder = Path(trainer.args.output_dir, f"checkpoint-{number + 2}")
        if number:  # the first round warms up
            found["save"].append(save)
            digests = measure(lambda: [describe(folder / name, fresh=True) for name in list_files(folder)])  # noqa: B023
            found["digests"].append(digests)
            for name, kind in OTHERS.items():
                found[name].append(measure(lambda: digest_by(kind, folder)))  # noqa: B023
    return found


def summarise(found: dict[str, list[tuple[float, float]]], size: float) -> dict:
    """Medians, and the share of the digests in a save without them, with the least and the most of all rounds."""

    def share(clock: int) -> dict[str, float]:
        rounds = zip(found["digests"], found["save"], strict=True)
        shares = sorted(digests[clock] / (save[clock] - digests[clock]) for digests, save in rounds)
        return {"median": statistics.median(shares), "least": shares[0], "most": shares[-1]}

    medians = {
        way: [statistics.median(times[clock] for times in rounds) for clock in (0, 1)] for way, rounds in found.items()
    }
    return {
        "checkpoint_mb": size,
        "rounds": ROUNDS,
        "digest": f"xxh3_128 of xxhash {xxhash.VERSION}",
        "seconds": {way: {"cpu": cpu, "clock": clock} for way, (cpu, clock) in medians.items()},
        "share_of_a_save": {"cpu": share(0), "clock": share(1)},
    }


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=".") as place:
        trainer = make_trainer(Path(place))
        found = run(trainer)
        (folder,) = Path(trainer.args.output_dir).glob("checkpoint-*")
        result = summarise(found, sum(file.stat().st_size for file in folder.iterdir()) / 1e6)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
