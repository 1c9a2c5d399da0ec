"""The encoding of a file of text: its mark, UTF-8, or what its bytes make likely; asked for where two readings are."""

import codecs
from functools import lru_cache
from pathlib import Path

from hfkit.data.code_pages import Reading, differing_words, guess_readings
from hfkit.data.notes import tell
from hfkit.errors import UserError
from hfkit.runtime.files import require_file

UTF8 = "utf-8-sig"  # plain utf-8 would make a byte-order mark part of the first text
MARKS = (
    # The mark of UTF-16 is the beginning of that of UTF-32.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
TITLES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 without its mark",
    "utf-16-be": "UTF-16 (big-endian) without its mark",
    "utf-32": "UTF-32",
    "gb18030": "GB 18030",
    "cp932": "Shift-JIS (Windows-932)",
    "cp949": "Korean (Windows-949)",
    "cp850": "DOS code page 850",
    "cp852": "DOS code page 852",
    "cp866": "DOS code page 866",
}
PIECE = 1 << 20
SAMPLE = 4096  # bytes of lines beyond ASCII by which encodings are told apart


def find_encoding(path: Path, given: str | None = None) -> str:
    """The name of the codec that reads a file of text, without its byte-order mark.

    Args:
        given: what the user says it is; None finds it.

    Raises:
        UserError: it cannot be read as that, there is no such encoding, or several may be meant.
    """
    require_file(path, f"file '{path}'")
    stat = path.stat()
    return _find(path, given, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)  # a command looks into a file several times before it reads it
def _find(path: Path, given: str | None, size: int, changed: int) -> str:
    start = read_start(path, 4096)
    marked = next((codec for mark, codec in MARKS if start.startswith(mark)), None)
    if given is not None:
        return check_given(path, given, marked)
    codec = marked or ("utf-8" if (wide := wide_codec(start)) is None else wide)
    bad = first_bad_byte(path, codec)
    if bad is None:
        return codec
    if marked or codec != "utf-8":
        raise UserError(
            f"file '{path}'",
            f"it begins like {title_of(codec)}, but byte {bad} is none",
            "Fetch or save it again, or name what it is with --encoding",
        )
    return guess_encoding(path, bad)


def title_of(codec: str) -> str:
    """The name of an encoding as people know it."""
    if codec.startswith("cp125"):
        return f"Windows-{codec[2:]}"
    return TITLES.get(codec, codec)


def tell_encoding(path: Path, codec: str) -> None:
    """Tell the encoding of a file, unless it is UTF-8."""
    if title_of(codec) != "UTF-8":
        tell(f"{path.name}: {title_of(codec)}")


def read_start(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def wide_codec(start: bytes) -> str | None:
    """The codec of UTF-16 or UTF-32 without a mark: it gives blanks, commas and line ends, and no zero characters."""
    if b"\0" not in start:
        return None
    if start[1:3] == b"\0\0":
        return "utf-32-be" if start[:1] == b"\0" else "utf-32-le"
    shares = {codec: share_of_ascii(start.decode(codec, "replace")) for codec in ("utf-16-le", "utf-16-be")}
    best = max(shares, key=lambda codec: shares[codec])
    return best if shares[best] > 0.03 else None


def share_of_ascii(text: str) -> float:
    return 0 if "\0" in text else sum(character.isascii() for character in text) / max(1, len(text))


def first_bad_byte(path: Path, codec: str) -> int | None:
    """The place of the first byte that a codec cannot read, from 0."""
    decoder, seen = codecs.getincrementaldecoder(codec)(), 0
    with path.open("rb") as file:
        while True:
            piece = file.read(PIECE)
            seen += len(piece)
            try:
                decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                # The error also covers the bytes that the decoder held back from the piece before.
                return seen - len(error.object) + error.start
            except UnicodeError:  # UTF-16 and UTF-32 without a mark that need one
                return 0
            if not piece:
                return None


def check_name(given: str) -> str:
    """The codec of the encoding that the user named; that of UTF-8 leaves out the mark.

    Raises:
        UserError: there is none of this name.
    """
    try:
        "a".encode(given)  # also refuses codecs of other things than text, such as base64
    except LookupError as error:
        raise UserError(f"encoding '{given}'", "there is none of this name", "Try utf-8, cp1252 or utf-16") from error
    codec = codecs.lookup(given).name
    return UTF8 if codec == "utf-8" else codec


def check_given(path: Path, given: str, marked: str | None) -> str:
    """The codec of the encoding that the user named.

    Raises:
        UserError: there is none of this name, or it cannot read the file: then with the one that can.
    """
    codec = check_name(given)
    if marked and not marked.startswith(codec[:6]):
        raise UserError(
            f"file '{path}'",
            f"it is not {given}: it begins with the mark of {title_of(marked)}",
            "Leave out --encoding",
        )
    codec = marked or codec  # "utf-16-le" alone would leave the mark in the first text
    bad = first_bad_byte(path, codec)
    if bad is not None:
        raise UserError(
            f"file '{path}'",
            f"it is not {given}: byte {bad} is 0x{byte_at(path, bad):02x}",
            f"Leave out --encoding, or name what it is{advise_encoding(path)}",
        )
    return codec


def byte_at(path: Path, place: int) -> int:
    with path.open("rb") as file:
        file.seek(place)
        return file.read(1)[0]


def advise_encoding(path: Path) -> str:
    try:
        return f": --encoding {find_encoding(path).removesuffix('-sig')}"
    except UserError:
        return " with --encoding"


def guess_encoding(path: Path, bad: int) -> str:
    """The encoding of a file that is not UTF-8 from byte `bad` on.

    Raises:
        UserError: most of it is UTF-8, or several readings are likely, or none.
    """
    sample = sample_lines(path)
    refuse_broken_utf8(path, sample, bad)
    readings = [found for found in guess_readings(sample) if first_bad_byte(path, found.codec) is None]
    if len(readings) == 1:
        return readings[0].codec
    if not readings:
        raise UserError(
            f"file '{path}'",
            f"it is not utf-8: byte {bad} is 0x{byte_at(path, bad):02x}, and no other encoding fits",
            "Save it as UTF-8, or name what it is with --encoding",
        )
    raise ambiguous_encoding(path, readings)


def ambiguous_encoding(path: Path, readings: list[Reading]) -> UserError:
    seen = " or ".join(
        f"{title_of(reading.codec)} ('{word}')"
        for reading, word in zip(readings, differing_words(readings), strict=True)
    )
    flags = " or ".join(f"--encoding {reading.codec}" for reading in readings)
    return UserError(f"file '{path}'", f"it may be {seen}", f"Name the right one with {flags}")


def sample_lines(path: Path) -> bytes:
    """Lines with bytes beyond ASCII, from all over a file."""
    lines: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        # A file without line ends is one line: of its size, only a piece.
        while (line := file.readline(SAMPLE)) and size < 8 * SAMPLE:
            if not line.isascii():
                lines.append(line if line.endswith(b"\n") else line + b"\n")
                size += len(line)
    step = max(1, size // SAMPLE)
    return b"".join(lines[::step])


def refuse_broken_utf8(path: Path, sample: bytes, bad: int) -> None:
    """Refuse a file whose bytes beyond ASCII are mostly whole characters of UTF-8: another reading garbles them all.

    Raises:
        UserError: with the line of the first bad byte.
    """
    text = sample.decode("utf-8", "surrogateescape")
    broken = sum("\udc80" <= character <= "\udcff" for character in text)
    whole = sum(character > "\x7f" for character in text) - broken
    if whole > broken:
        with path.open("rb") as file:
            line = file.read(bad).count(b"\n") + 1
        raise UserError(
            f"file '{path}'",
            f"it is UTF-8 but for byte {bad} (0x{byte_at(path, bad):02x}) in line {line}: it was joined from files in "
            "several encodings, or cut within a character",
            "Mend the line, or read all of it in another encoding with --encoding cp1252",
        )
