"""What the tests of all bundled samples need."""

from pathlib import Path

SPLITS = ("train", "validation", "test")


def assert_committed(written: Path, shipped: Path) -> None:
    """Hold that a script wrote the files that are shipped, byte for byte."""
    assert sorted(path.name for path in shipped.iterdir()) == sorted(f"{split}.jsonl" for split in SPLITS)
    for path in shipped.iterdir():
        assert (written / path.name).read_bytes() == path.read_bytes(), f"{path.name}: write it anew and commit"
