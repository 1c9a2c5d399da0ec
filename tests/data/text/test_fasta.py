"""FASTA: names, what follows them, and sequences over any number of lines."""

import pytest

from hfkit.data.text.fasta import read_fasta
from hfkit.errors import DataError


def test_sequences_come_with_their_names(tmp_path):
    path = tmp_path / "some.fasta"
    path.write_text(">sp|P1|A a protein\nMK V\nLLx\n\n;a comment\n>two\n>  three  \r\nACGT*\n")
    assert read_fasta("train", [path]).to_list() == [
        {"name": "sp|P1|A", "description": "a protein", "sequence": "MKVLLx"},
        {"name": "two", "description": "", "sequence": ""},
        {"name": "three", "description": "", "sequence": "ACGT*"},
    ]
    path.write_text("MKV\n>one\nMKV\n")
    with pytest.raises(DataError, match="line 1 of some.fasta is 'MKV'"):
        read_fasta("train", [path])
    path.write_text("")
    with pytest.raises(DataError, match="no sequences"):
        read_fasta("train", [path])
