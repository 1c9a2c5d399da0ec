"""Stores that killed runs have left half built are deleted by the next run, and none that is in use."""

import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

from hfkit.prefix.folders import delete_abandoned, hold_building
from hfkit.prefix.store import Store, Writer


def write_store(folder: Path) -> None:
    writer = Writer(folder, 0, "float32", [2])
    writer.append([0, 1], [np.array([1, 1])], [torch.ones(2, 2)])
    writer.close()


@pytest.fixture
def unnamed(tmp_path) -> Path:
    """A name under which a store is built."""
    return tmp_path / f"{uuid.uuid4().hex}.{uuid.uuid4().hex}"


def test_a_half_built_store_without_a_builder_goes(tmp_path, unnamed):
    Writer(unnamed, 0, "float32", [2])
    (tmp_path / f".{unnamed.name}.lock").write_text("{}")  # of the killed run
    named = tmp_path / uuid.uuid4().hex
    write_store(named)
    delete_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [named]


def test_a_store_with_a_builder_or_a_reader_stays(tmp_path, unnamed):
    with hold_building(unnamed):
        write_store(unnamed)
        delete_abandoned(tmp_path)
        store = Store(unnamed, 2)
    delete_abandoned(tmp_path)
    assert torch.equal(store.read(0, np.array([1])), torch.ones(1, 2))
    store.close()
    delete_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_could_not_be_built_is_not_left(tmp_path, unnamed):
    with pytest.raises(OSError), hold_building(unnamed):
        write_store(unnamed)
        raise OSError("No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_holds_nothing_abandoned(tmp_path):
    delete_abandoned(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
