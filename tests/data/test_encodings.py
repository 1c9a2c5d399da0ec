"""The encoding of a file is found, told, or asked for; one that is named and wrong is refused with the right one."""

import pytest

from hfkit.data.encodings import find_encoding
from hfkit.errors import UserError

TEXT = "text,label\nnaïve,好\n"


@pytest.mark.parametrize(
    "codec",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "gb18030"],
)
def test_a_file_is_read_without_its_mark(codec, tmp_path):
    (path := tmp_path / "some.csv").write_bytes((TEXT if codec[0] == "u" else TEXT.replace("ï", "i")).encode(codec))
    assert path.read_text(encoding=find_encoding(path)) == TEXT if codec[0] == "u" else "好" in path.read_text(codec)


def test_japanese_in_utf_16_without_a_mark_has_few_zeros(tmp_path):
    (path := tmp_path / "some.csv").write_bytes("映画はとても,良かった\nもう一度,見たい\n".encode("utf-16-le"))
    assert find_encoding(path) == "utf-16-le"


def test_a_byte_far_behind_the_beginning_counts(tmp_path):
    (path := tmp_path / "some.csv").write_bytes(b"a\n" * 2_000_000 + "café\n".encode("cp1252"))
    assert find_encoding(path) == "cp1252"


@pytest.mark.parametrize("given", ["utf-16", "UTF-16LE", "utf_16_le"])
def test_a_mark_is_no_part_of_the_text_whatever_the_encoding_is_called(given, tmp_path):
    (path := tmp_path / "some.csv").write_bytes(b"\xff\xfe" + TEXT.encode("utf-16-le"))
    assert path.read_text(encoding=find_encoding(path, given)) == TEXT


@pytest.mark.parametrize(
    ("content", "given", "message"),
    [
        ("café".encode("cp1252"), "utf-8", "it is not utf-8: byte 3 is 0xe9. .* --encoding cp1252"),
        (TEXT.encode("utf-16"), "cp1252", "it begins with the mark of UTF-16. Leave out --encoding"),
        (TEXT.encode(), "ascii", "byte 13 is 0xc3. .* --encoding utf-8"),
        (TEXT.encode(), "klingon", "there is none of this name"),
        (TEXT.encode(), "base64", "there is none of this name"),
        ("şarkı".encode("cp1254"), None, "Windows-1254 .'şarkı'. or Windows-1252 .'þarký'.*--encoding cp1254 or"),
        ("été\ncafé\n".encode() + b"caf\xe9", None, r"UTF-8 but for byte 15 \(0xe9\) in line 3"),
        (b"\xff\xfea", None, "it begins like UTF-16, but byte 2"),
        (bytes(range(256)), None, "byte 128 is 0x80, and no other encoding fits"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_way_out(content, given, message, tmp_path):
    (path := tmp_path / "some.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        find_encoding(path, given)
