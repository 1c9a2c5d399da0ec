"""Ways in which a checkpoint comes to harm, one at a time, and what hfkit has to say of each."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

FILES = (
    *("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "hfkit_run.json"),
    "config.json",
)
OTHER = r"(was changed|has [\d,]+ bytes of)"
STRANGE = 99  # a step that the run never took


@dataclass(frozen=True)
class Damage:
    """One damage to the newest of several checkpoints."""

    name: str
    act: Callable[[Path], object]  # given the folder of the newest checkpoint
    fault: str  # what is said of it, as a regular expression
    strange: bool = False  # it makes a checkpoint of step 99, and the newest one is as it was


def older(folder: Path) -> Path:
    """The checkpoint before this one."""
    steps = sorted(int(path.name.partition("-")[2]) for path in folder.parent.glob("checkpoint-*"))
    return folder.with_name(f"checkpoint-{max(step for step in steps if step < int(folder.name.partition('-')[2]))}")


def flip(file: Path, share: float = 0.5) -> None:
    """Turn one bit of a file over."""
    data = bytearray(file.read_bytes())
    data[int(len(data) * share)] ^= 0x40
    file.write_bytes(data)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def fill_with_zeros(file: Path) -> None:
    """Put zeros in the middle of a file, as a power cut leaves a page that never reached the disk."""
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = bytes(len(data[middle : middle + 4096]))
    file.write_bytes(data)


def mix_in(folder: Path, name: str) -> None:
    """Replace a file by that of the checkpoint before."""
    shutil.copy(older(folder) / name, folder / name)


def edit_state(folder: Path, **values: object) -> None:
    file = folder / "trainer_state.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def make_strange(folder: Path) -> Path:
    strange = folder.with_name(f"checkpoint-{STRANGE}")
    strange.mkdir()
    return strange


def copy_state_alone(folder: Path) -> None:
    shutil.copy(folder / "trainer_state.json", make_strange(folder))


def rename_older(folder: Path) -> None:
    shutil.copytree(older(folder), folder.with_name(f"checkpoint-{STRANGE}"))


def drop_bias(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(file).items() if name != "classifier.bias"}
    save_file(kept, file, metadata={"format": "pt"})


def split(folder: Path) -> list[Path]:
    """Save the same weights in shards."""
    from transformers import AutoModelForTokenClassification

    model = AutoModelForTokenClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="60KB")
    return sorted(folder.glob("model-*.safetensors"))


def lose_shard(folder: Path) -> None:
    split(folder)[1].unlink()


def mix_shard(folder: Path) -> None:
    shard = split(folder)[1]
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(split(Path(shutil.copytree(older(folder), f"{place}/older")))[1], shard)


def _list_damages() -> Iterator[Damage]:
    for file in FILES:
        yield Damage(f"{file} missing", lambda folder, file=file: (folder / file).unlink(), f"{file} is missing")
        yield Damage(f"{file} empty", lambda folder, file=file: empty(folder / file), f"{file} has 0 bytes of")
        yield Damage(f"{file} half", lambda folder, file=file: halve(folder / file), rf"{file} has [\d,]+ bytes of")
        for share in (0.5, 0.75):
            act = partial(lambda folder, file, share: flip(folder / file, share), file=file, share=share)
            yield Damage(f"{file}, a bit at {share}", act, f"{file} was changed")
    for file in ("model.safetensors", "optimizer.pt"):
        act = partial(lambda folder, file: fill_with_zeros(folder / file), file=file)
        yield Damage(f"{file}, 4 kB of zeros", act, f"{file} was changed")
    for file in FILES[:5]:
        yield Damage(f"{file} of the checkpoint before", partial(mix_in, name=file), f"{file} {OTHER}")
    yield Damage("an empty folder", make_strange, "trainer_state.json is missing", strange=True)
    yield Damage("a folder with a state alone", copy_state_alone, "hfkit_manifest.json is missing", strange=True)
    yield Damage("the one before under another name", rename_older, "it is a copy of", strange=True)
    yield Damage("another step", partial(edit_state, global_step=18), f"trainer_state.json {OTHER}")
    yield Damage("another length", partial(edit_state, max_steps=24), f"trainer_state.json {OTHER}")
    yield Damage(
        "a state that is a list",
        lambda folder: (folder / "trainer_state.json").write_text("[]"),
        f"trainer_state.json {OTHER}",
    )
    yield Damage("a bias dropped", drop_bias, f"model.safetensors {OTHER}")
    yield Damage("the same weights in shards", split, f"(model.safetensors is missing|config.json {OTHER})")
    yield Damage("a shard missing", lose_shard, f"(model.safetensors is missing|config.json {OTHER})")
    yield Damage("a shard of the checkpoint before", mix_shard, f"(model.safetensors is missing|config.json {OTHER})")


def _list_damages_to_best() -> Iterator[Damage]:
    weights = "model.safetensors"
    yield Damage("weights missing", lambda folder: (folder / weights).unlink(), f"{weights} is missing")
    yield Damage("a bit of the weights", lambda folder: flip(folder / weights, 0.75), f"{weights} was changed")
    yield Damage("half of the weights", lambda folder: halve(folder / weights), rf"{weights} has [\d,]+ bytes of")
    yield Damage("folder missing", shutil.rmtree, "nothing is left")


# To the newest checkpoint, by name; and to the best one, which is loaded in the end.
DAMAGES = {damage.name: damage for damage in _list_damages()}
OF_BEST = {damage.name: damage for damage in _list_damages_to_best()}
