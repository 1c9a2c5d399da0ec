"""A file in pieces goes on behind what is whole, begins anew otherwise, and is the same file in every case."""

import json

import pytest

from hfkit.errors import Failure
from hfkit.runtime.part_file import PartFile
from tests.runtime.test_durable import files_of_at_most

PIECES = [f"{'abcdefgh'[number] * 9}\n" * 20 for number in range(8)]
WHOLE = "".join(PIECES)


def write_pieces(path, work="work", stop_at=8):
    """Write the pieces that are missing; returns how many were there."""
    with PartFile(path, work) as part:
        there = part.rows
        for number in range(there, stop_at):
            part.add(PIECES[number], 1, {"last": number})
        if stop_at < len(PIECES):
            raise KeyboardInterrupt
    return there


@pytest.fixture
def cut(tmp_path):
    """A file of which five of eight pieces were written."""
    with pytest.raises(KeyboardInterrupt):
        write_pieces(tmp_path / "out", stop_at=5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.part", "out.part.json"]
    return tmp_path / "out"


def flip(content):
    return content[:300] + bytes([content[300] ^ 1]) + content[301:]


PART_DAMAGES = {
    "a flipped bit": flip,
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeros at its end": lambda content: content[:-100] + bytes(100),
    "missing": None,
}
STATE_DAMAGES = {
    "a flipped bit": lambda content: content[:12] + bytes([content[12] ^ 1]) + content[13:],
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a list": lambda content: b"[]",
    "fewer rows": lambda content: content.replace(b'"rows": 5', b'"rows": 4'),
    "rows below 0": lambda content: content.replace(b'"rows": 5', b'"rows": -1'),
    "fewer bytes": lambda content: content.replace(b'"bytes": 1000', b'"bytes": 800'),
    "other notes": lambda content: content.replace(b'"last": 4', b'"last": 3'),
    "no digest": lambda content: json.dumps(json.loads(content) | {"digest": None}).encode(),
    "missing": None,
}


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [*((".part", kind) for kind in PART_DAMAGES), *((".part.json", kind) for kind in STATE_DAMAGES)],
)
def test_a_damaged_part_begins_anew_and_is_named(cut, suffix, damage, capsys):
    file = cut.with_name(f"out{suffix}")
    change = (PART_DAMAGES if suffix == ".part" else STATE_DAMAGES)[damage]
    content = file.read_bytes()
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(content))
        assert file.read_bytes() != content
    assert write_pieces(cut) == 0
    assert cut.read_text() == WHOLE
    assert capsys.readouterr().out == f"{cut}.part: it is not as it was written, so it begins anew\n"


def test_a_whole_part_goes_on_even_if_more_was_written_than_counts(cut):
    with cut.with_name("out.part").open("a") as file:
        file.write("half a li")
    assert write_pieces(cut) == 5
    assert cut.read_text() == WHOLE
    assert [path.name for path in cut.parent.iterdir()] == ["out"]


def test_a_part_of_other_work_begins_anew(cut, capsys):
    assert write_pieces(cut, work="other") == 0
    assert (cut.read_text(), capsys.readouterr().out) == (WHOLE, "")


def test_without_room_the_earlier_file_stays_and_with_room_it_goes_on(tmp_path):
    (tmp_path / "out").write_text("earlier")
    with pytest.raises(Failure, match="no room is left.*the same command goes on"), files_of_at_most(700):
        write_pieces(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "earlier"
    assert write_pieces(tmp_path / "out") == 3
    assert (tmp_path / "out").read_text() == WHOLE
