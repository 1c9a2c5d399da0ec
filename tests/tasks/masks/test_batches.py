"""Batches of pictures and masks: places are those of torch, and a cache changes no batch and spares the files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hfkit.contract.abilities import training_collator
from hfkit.tasks import SemanticSegmentation
from hfkit.tasks.losses import IGNORED
from hfkit.tasks.masks.batches import take_nearest, write_labels
from tests.tiny import masks as tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    return tiny.segformer(tmp_path_factory.mktemp("segformer"))


def test_the_nearest_pixels_are_those_of_torch():
    for old in (1, 2, 3, 7, 28, 101, 375, 500):
        for new in (1, 2, 5, 32, 100, 512):
            column = np.arange(old, dtype=np.int32)[:, None]
            wanted = torch.nn.functional.interpolate(
                torch.from_numpy(column)[None, None].double(), (new, 3), mode="nearest-exact"
            )
            assert (take_nearest(column, (new, 3)) == wanted[0, 0].numpy()).all(), (old, new)
    # Here middles of pixels lie between two others, and floating point takes now this one, now that one.
    assert take_nearest(np.arange(280)[:, None], (100, 1))[:5, 0].tolist() == [1, 4, 7, 9, 12]


def test_labels_are_mirrored_and_those_of_no_class_ignored():
    out = torch.empty(1, 3, dtype=torch.int64)
    write_labels(np.array([[0, 2, 255]], np.uint8), out, mirrored=True)
    assert out.tolist() == [[IGNORED, 2, 0]]


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("flags", [{}, {"flip": "horizontal"}, {"augmentation": "light"}])
def test_a_cache_changes_no_batch_and_spares_the_files(checkpoint, tmp_path, split, flags):
    folder = Path(tiny.mask_folder(tmp_path / "data"))
    task = SemanticSegmentation(dataset=str(folder), **{"augmentation": "none", "flip": "none", **flags})
    loaded = task.load()
    codec = task.codec(checkpoint, loaded.target)
    encoded = codec.encode(loaded[split], split=split, answers=True)
    plain = training_collator(codec, seed=1) if split == "train" else codec.collate
    kept = codec.store(plain, encoded, tmp_path / "cache", 10**9)
    rows = [encoded[number] for number in (0, 2, 3)]

    def draw(collator, epoch: int) -> dict[str, torch.Tensor]:
        if split == "train":
            collator.epoch = epoch
        return collator(rows)

    wanted = [draw(plain, epoch) for epoch in range(4)]
    draw(kept, 0), draw(kept, 1), draw(kept, 2), draw(kept, 3)
    shutil.rmtree(folder)  # everything is in the cache by now
    for epoch, batch in enumerate(wanted):
        found = draw(kept, epoch)
        assert found.keys() == batch.keys()
        assert all(torch.equal(found[name], value) for name, value in batch.items())


def test_a_mask_is_kept_for_each_legend(checkpoint, tmp_path):
    folder = tiny.mask_folder(tmp_path / "data")
    task = SemanticSegmentation(dataset=folder)
    loaded = task.load()
    codec = task.codec(checkpoint, loaded.target)
    encoded = codec.encode(loaded["validation"], split="validation", answers=True)
    legends = [legend.replace("disc", "ring") if row == 0 else legend for row, legend in enumerate(encoded["legend"])]
    mixed = encoded.remove_columns("legend").add_column("legend", legends)
    kept = codec.store(codec.collate, mixed, tmp_path / "cache", 10**9)
    rows = [{**mixed[0], "legend": legend} for legend in (legends[0], encoded[0]["legend"])]
    rows[1]["legend"] = json.dumps({**json.loads(rows[1]["legend"]), "values": [1, 0, 2]})
    wanted = codec.collate(rows)["labels"]
    assert torch.equal(kept(rows)["labels"], wanted) and not torch.equal(*wanted)
    assert torch.equal(kept(rows)["labels"], wanted)
