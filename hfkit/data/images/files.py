"""One look at each image before anything is trained."""

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, Features, Image, Value, concatenate_datasets
from datasets.table import ConcatenationTable
from PIL import Image as Pillow

from hfkit.data.bad_rows import Fault
from hfkit.data.images.pictures import DEEP, FORMATS, Refused, deep_pixels, read_orientation
from hfkit.data.images.scans import Part, kind_of, read_scan, split_part
from hfkit.errors import DataError, first_line
from hfkit.progress import progress

# LAB has no conversion.
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
FAINT = 1 / 16  # of white, which 12 bits in 16 do not reach
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # what such a file begins with
AT_ONCE = 256  # rows with their bytes in memory at a time
Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Look:
    """Facts of an image, from one look at its file."""

    fingerprint: str = ""  # of the bytes: equal files are one image twice
    format: str = ""
    mode: str = ""  # Pillow's, as stored
    width: int = 0  # pixels, as stored
    height: int = 0
    animated: bool = False
    rotated: bool = False  # by its EXIF tag
    faint: bool = False  # of more than 8 bits, and so dark that it may hold fewer
    frames: int = 1  # or slices, of a scan whose middle one is meant
    how: str = ""  # the numbers of a scan became grey


LOOK = Features(
    {
        "fingerprint": Value("string"),
        "format": Value("string"),
        "mode": Value("string"),
        "width": Value("int32"),
        "height": Value("int32"),
        "animated": Value("bool"),
        "rotated": Value("bool"),
        "faint": Value("bool"),
        "frames": Value("int32"),
        "how": Value("string"),
    }
)


def cast_images(rows: Dataset, split: str, column: str) -> Dataset:
    """The rows with paths, bytes or pixels as images that are not decoded yet.

    Raises:
        DataError: the column holds something else.
    """
    try:
        return join_blocks(rows).cast_column("image", Image(decode=False))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"it holds {rows.features['image']}",
            "a column of images holds images, their bytes, or paths of files",
            "Name another with --image_column",
            split=split,
            column=column,
        ) from error


def join_blocks(rows: Dataset) -> Dataset:
    """The same rows in one table.

    Where a column that was added is left out again, `datasets` keeps a block of no rows, and joins no column to it.
    """
    if not isinstance(rows.data, ConcatenationTable):
        return rows
    # With a name of its own: otherwise every byte would be hashed.
    return Dataset(rows.with_format("arrow")[:], info=rows.info, fingerprint=uuid4().hex)


def look_at_all(
    rows: Dataset, split: str, column: str, *, most_megapixels: float, known: set[int]
) -> tuple[Dataset, list[Fault]]:
    """The rows with the columns of `Look`, and a fault for each image that cannot be used.

    Every byte is read and decoded once, in as many threads as torch may use.

    Args:
        known: rows that are at fault already, and are not looked at.
    """

    def look_at(row: int, image: dict | None) -> Look:
        return Look() if row in known else look(bytes_of(image), most_megapixels, part_of(image))

    faults, looks = [], []
    with (
        ThreadPoolExecutor(torch.get_num_threads()) as pool,
        progress(f"Checking the images of {split}", len(rows)) as advance,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Pillow.DecompressionBombWarning)
        for row, image, seen in look_in_threads(pool, rows, look_at):
            if isinstance(seen, Refused):
                detail = f" ({seen.detail})" if seen.detail else ""
                faults.append(Fault(row, column, name_image(image) + detail, seen.rule, seen.fix))
                seen = Look()
            looks.append(asdict(seen))
            advance()
    table = Dataset.from_dict({name: [look[name] for look in looks] for name in LOOK}, features=LOOK)
    return concatenate_datasets([rows, table], axis=1), faults


def look_in_threads(
    pool: ThreadPoolExecutor, rows: Dataset, look_at: Callable[[int, dict | None], Seen]
) -> Iterator[tuple[int, dict | None, Seen | Refused]]:
    """The number of every row, its image, and what `look_at` found or refused; a few rows are in memory at once."""

    def attempt(row: int, image: dict | None) -> Seen | Refused:
        try:
            return look_at(row, image)
        except Refused as error:
            return error

    row = 0
    for batch in rows.select_columns(["image"]).iter(AT_ONCE):
        numbers = range(row, row + len(batch["image"]))
        yield from zip(numbers, batch["image"], pool.map(attempt, numbers, batch["image"]), strict=True)
        row = numbers.stop


def name_image(image: dict | None) -> str:
    """An image by the name its owner knows."""
    path, part = split_part(image and image["path"])
    named = f"image '{os.sep.join(Path(path).parts[-3:])}'" if path else "the embedded image" if image else "null"
    return named if part.frame is None else f"{named}, frame {part.frame}"


def part_of(image: dict | None) -> Part:
    """The frame of a scan that a row means, and how it is looked at."""
    return split_part(image and image["path"])[1]


def bytes_of(image: dict | None) -> bytes:
    """The bytes of an image's file.

    Raises:
        Refused: there are none.
    """
    if image is None or image["bytes"] is None and image["path"] is None:
        raise Refused("every row has an image", "Remove the row")
    try:
        return Path(split_part(image["path"])[0]).read_bytes() if image["bytes"] is None else image["bytes"]
    except OSError as error:
        raise Refused(f"it cannot be read ({error.strerror})", "Mend or remove it") from error


def look(data: bytes, most_megapixels: float, part: Part = Part()) -> Look:  # noqa: B008
    """The facts of an image file, after reading it to its end.

    Args:
        part: of a scan, which is one image for each part.

    Raises:
        Refused: it is empty, no image, damaged, too large, or its mode has no known range.
    """
    if not data:
        raise Refused("the file is empty", "Remove it, or fetch it again")
    if kind_of(data) is not None:
        return look_at_scan(data, most_megapixels, part)
    try:
        image = Pillow.open(BytesIO(data), formats=FORMATS)
        # Known from the header, before a small file becomes gigabytes of pixels.
        small = image.width * image.height <= most_megapixels * 1e6
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        small = False
    except Exception as error:  # decoders raise anything on foreign bytes
        raise refuse_foreign(data) from error
    if not small:
        raise Refused(
            f"an image has at most {most_megapixels:g} megapixels",
            "Scale it down, or raise --max_megapixels if you trust the file",
        )
    mode = image.mode
    if mode not in (*MODES, *DEEP):
        raise Refused(f"pixels of mode {mode} cannot be shown", "Save it in grey or RGB")
    try:
        if image.format == "PNG":
            # Decoding alone does not check the checksums.
            image.verify()
            image = Pillow.open(BytesIO(data), formats=FORMATS)
        seen = Look(
            fingerprint=hashlib.blake2b(data, digest_size=16).hexdigest(),
            format="JPEG" if image.format == "MPO" else image.format,  # MPO: a photo followed by others
            mode=mode,
            width=image.width,
            height=image.height,
            animated=image.format != "MPO" and getattr(image, "is_animated", False),
            rotated=read_orientation(image) != 1,
            faint=mode in DEEP and float(deep_pixels(image).max()) < FAINT,
        )
        # At an eighth of its size a JPEG is still read to its end, in a third of the time.
        image.draft("L", (1, 1))
        image.load()
    except Refused:
        raise
    except Exception as error:  # decoders raise anything on foreign bytes
        raise Refused("the file is damaged or cut off", "Remove it, or fetch it again", first_line(error)) from error
    return seen


def look_at_scan(data: bytes, most_megapixels: float, part: Part) -> Look:
    """The facts of one picture of a scan; its mode is that of the picture, after its numbers became grey.

    Raises:
        Refused: see `read_scan`.
    """
    scan = read_scan(data, part, most_megapixels)
    return Look(
        fingerprint=hashlib.blake2b(data + part.to_text().encode(), digest_size=16).hexdigest(),
        format=scan.picture.format or "",
        mode=scan.picture.mode,
        width=scan.picture.width,
        height=scan.picture.height,
        frames=scan.frames if part.frame is None else 1,
        how=scan.how,
    )


def refuse_foreign(data: bytes) -> Refused:
    """The error for a file that no decoder knows, with a way to read it if there is one."""
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)] if data[4:8] == b"ftyp" else b""
    if b"avif" in brands and "AVIF" not in FORMATS:
        return Refused("an AVIF image needs a newer Pillow", "Run: pip install --upgrade pillow")
    if any(brand in brands for brand in HEIC) and b"avif" not in brands and "HEIF" not in FORMATS:
        return Refused("a HEIC image needs pillow-heif, which is not installed", 'Run: pip install "hfkit[heif]"')
    if b"<svg" in data[:1000].lower():
        return Refused("an SVG is a drawing and holds no pixels", "Save it as PNG")
    # CMS, as DICOM encrypts whole files (PS3.15, annex E), and what openssl begins with.
    if data[:1] == b"\x30" and b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03" in data[:64] or data[:8] == b"Salted__":
        return Refused("the file is encrypted", "Decrypt it, or remove the row")
    kinds = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    return Refused(f"it cannot be read as an image ({kinds})", "Remove it, or save it as one")


# What becomes of pixels of another mode; one-bit images are grey already.
CONVERTED = {
    **dict.fromkeys(("LA", "La", "PA", "RGBA", "RGBa"), "onto white"),
    **dict.fromkeys(("I", "I;16", "I;16L", "I;16B", "I;16N"), "to 8 bits, divided by 257"),
    "F": "to 8 bits, times 255",
    "P": "by its palette",
}


def describe_conversions(rows: Dataset) -> str:
    """How images change as they are read, with counts; "" if none does."""
    modes = Counter(rows["mode"])
    parts = [
        f"{count:,} {mode} {CONVERTED.get(mode, 'to RGB')}"
        for mode, count in modes.most_common()
        if mode not in ("", "1", "L", "RGB")
    ]
    parts += [f"{count:,} of several frames by the first"] if (count := sum(rows["animated"])) else []
    parts += [f"{count:,} turned by the EXIF tag"] if (count := sum(rows["rotated"])) else []
    parts += (
        [f"{n:,} of several frames or slices by the middle one"] if (n := (np.array(rows["frames"]) > 1).sum()) else []
    )
    ways = Counter((kind, how) for kind, how in zip(rows["format"], rows["how"], strict=True) if how)
    parts += [f"{count:,} {kind} {how}" for (kind, how), count in ways.most_common()]
    return ", ".join(parts)


def image_facts(rows: Dataset) -> dict[str, Any]:
    """Facts of a split's images, from the one look at each."""
    twins = len(rows) - len(set(rows["fingerprint"]))
    modes = dict(Counter(rows["mode"]).most_common())
    return {
        "formats": dict(Counter(rows["format"]).most_common()),
        "modes": modes,
        "converted": sum(count for mode, count in modes.items() if mode not in ("L", "RGB")),
        "median_width": float(np.median(rows["width"])),
        "median_height": float(np.median(rows["height"])),
        "animated": sum(rows["animated"]),
        "rotated": sum(rows["rotated"]),
        "repeated_rows": twins,
    }
