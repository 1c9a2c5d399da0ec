"""Images in class folders or columns, and one look at each of them before anything is trained."""

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import Dataset, DatasetDict, Features, Image, Value, concatenate_datasets
from PIL import Image as Pillow

from hfkit.data.bad_rows import Fault
from hfkit.data.images.pictures import DEEP, FORMATS, read_orientation
from hfkit.data.split_names import SPLITS
from hfkit.errors import DataError, first_line
from hfkit.progress import progress

SUFFIXES = {
    *(".jpg", ".jpeg", ".jfif", ".png", ".apng", ".gif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".avif", ".jp2", ".j2k"),
    *(".heic", ".heif", ".svg"),  # their owner calls them images, and is told that they cannot be read
}
# F and I hold numbers of any range, and LAB has no conversion.
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
AT_ONCE = 256  # rows with their bytes in memory at a time


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


LOOK = Features(
    {
        "fingerprint": Value("string"),
        "format": Value("string"),
        "mode": Value("string"),
        "width": Value("int32"),
        "height": Value("int32"),
        "animated": Value("bool"),
        "rotated": Value("bool"),
    }
)


class Refused(Exception):
    """The rule that an image breaks, a fix, and the decoder's message."""

    def __init__(self, rule: str, fix: str, detail: str = "") -> None:
        super().__init__(rule)
        self.rule, self.fix, self.detail = rule, fix, detail


# Finding images


def class_folders(folder: Path) -> dict[str, Path]:
    """The folder of every split that exists, if train is a folder of folders; otherwise none."""
    found = {
        split: next((folder / name for name in names if (folder / name).is_dir()), None)
        for split, names in SPLITS.items()
    }
    if found["train"] is None or not any(path.is_dir() for path in found["train"].iterdir()):
        return {}
    return {split: path for split, path in found.items() if path}


def one_class_folder(folder: Path, split: str | None) -> dict[str, Path]:
    """The folder of class folders to evaluate on, as test: that of the split, or `folder` itself; otherwise none."""
    place = folder / (split or "test")
    place = folder if split is None and not place.is_dir() else place
    classes = [path for path in place.iterdir() if path.is_dir()] if place.is_dir() else []
    pictures = any(file.suffix.lower() in SUFFIXES for path in classes for file in path.iterdir())
    return {"test": place} if pictures else {}


def read_class_folders(splits: dict[str, Path], on_bad_row: str) -> DatasetDict:
    """Rows of `image` and `label`, the name of the folder that a file lies in, below the folder of its split.

    Raises:
        DataError: a class folder without an image, or an image outside of every class folder.
    """
    return DatasetDict({split: read_split(split, place, on_bad_row) for split, place in splits.items()})


def read_split(split: str, folder: Path, on_bad_row: str) -> Dataset:
    paths: list[str] = []
    labels: list[str] = []
    others = 0
    for place in sorted(folder.iterdir()):
        if place.name.startswith("."):
            continue
        if not place.is_dir():
            if place.suffix.lower() in SUFFIXES:
                raise DataError(
                    f"file '{place.name}'",
                    "an image lies in the folder of its class, and this one lies beside them",
                    "Move it into a class folder",
                    split=split,
                )
            others += 1
            continue
        files = sorted(os.path.join(where, name) for where, _, names in os.walk(place) for name in names)
        images = [path for path in files if Path(path).suffix.lower() in SUFFIXES]
        others += sum(not Path(path).name.startswith(".") for path in files) - len(images)
        if not images and on_bad_row == "error":
            raise DataError(
                f"class folder '{place.name}'",
                "it holds no image",
                f"Remove it, or put images into it ({', '.join(sorted(SUFFIXES))})",
                split=split,
            )
        if not images:
            print(f"{split}: class folder '{place.name}' holds no image and is left out")
        paths += images
        labels += [place.name] * len(images)
    if others:
        print(f"{split}: {others:,} files without the suffix of an image are left out")
    if not paths:
        raise DataError(f"folder '{folder.name}'", "it holds no image", "Put one folder per class into it", split=split)
    images = image_rows([{"bytes": None, "path": os.path.abspath(path)} for path in paths])
    return images.add_column("label", labels, feature=Value("string"))


def cast_images(rows: Dataset, split: str, column: str) -> Dataset:
    """The rows with paths, bytes or pixels as images that are not decoded yet.

    Raises:
        DataError: the column holds something else.
    """
    try:
        return rows.cast_column("image", Image(decode=False))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"it holds {rows.features['image']}",
            "a column of images holds images, their bytes, or paths of files",
            "Name another with --image_column",
            split=split,
            column=column,
        ) from error


def locate_images(
    rows: Dataset, roots: Sequence[Path], *, allow_outside: bool, column: str
) -> tuple[Dataset, list[Fault]]:
    """The rows with absolute paths of images that are not embedded, and a fault for each forbidden path.

    Args:
        roots: the folders of the dataset; relative paths begin at the first.
    """
    if not has_files(rows):
        return rows, []
    roots = [root.resolve() for root in roots]
    faults, moved = [], []
    for row, image in enumerate(rows["image"]):
        if image is not None and image["bytes"] is None and image["path"] is not None:
            try:
                image = {"bytes": None, "path": place_of(image["path"], roots, allow_outside)}
            except Refused as error:
                faults.append(Fault(row, column, f"path '{image['path']}'", error.rule, error.fix))
        moved.append(image)
    return image_rows(moved), faults


def image_rows(images: list[dict | None]) -> Dataset:
    """Rows of `image` alone."""
    # Dataset.from_list would drop the bytes of a row whose path is also that of a file.
    table = pa.table({"image": pa.array(images, type=Image.pa_type)})
    return Dataset(table).cast_column("image", Image(decode=False))


def has_files(rows: Dataset) -> bool:
    """True if any image is a path and not embedded."""
    pieces = rows.data.column("image").chunks
    return any(pc.any(pc.and_(p.field("path").is_valid(), p.field("bytes").is_null())).as_py() for p in pieces)


def place_of(path: str, roots: Sequence[Path], allow_outside: bool) -> str:
    """The absolute path of an image file, links not resolved.

    Raises:
        Refused: an address, a place outside the dataset, or no file.
    """
    if "://" in path or path.startswith("data:"):
        raise Refused("an image is a file or bytes, and nothing is fetched from an address", "Download the image first")
    try:
        place = roots[0] / path
        real = place.resolve()
        inside, there = any(real.is_relative_to(root) for root in roots), real.is_file()
    except (OSError, ValueError) as error:
        raise Refused("it is no path", "Mend or remove the row") from error
    if not inside and not allow_outside:
        raise Refused(
            "the images of a dataset lie in its own folder, links resolved",
            "Copy the image there, or add --allow_outside_images if you trust whoever wrote the paths",
        )
    if not there:
        raise Refused("there is no such file", "Mend the path or remove the row")
    return str(place)


# Looking at images


def look_at_all(
    rows: Dataset, split: str, column: str, *, most_megapixels: float, known: set[int]
) -> tuple[Dataset, list[Fault]]:
    """The rows with the columns of `Look`, and a fault for each image that cannot be used.

    Every byte is read and decoded once, in as many threads as torch may use.

    Args:
        known: rows that are at fault already, and are not looked at.
    """
    faults, looks = [], []
    with (
        ThreadPoolExecutor(torch.get_num_threads()) as pool,
        progress(f"Checking the images of {split}", len(rows)) as advance,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Pillow.DecompressionBombWarning)
        for row, image, seen in in_threads(pool, rows, most_megapixels, known):
            if isinstance(seen, Refused):
                detail = f" ({seen.detail})" if seen.detail else ""
                faults.append(Fault(row, column, name_image(image) + detail, seen.rule, seen.fix))
                seen = Look()
            looks.append(asdict(seen))
            advance()
    table = Dataset.from_dict({name: [look[name] for look in looks] for name in LOOK}, features=LOOK)
    return concatenate_datasets([rows, table], axis=1), faults


def in_threads(
    pool: ThreadPoolExecutor, rows: Dataset, most_megapixels: float, known: set[int]
) -> Iterator[tuple[int, dict | None, Look | Refused]]:
    def one(row: int, image: dict | None) -> Look | Refused:
        try:
            return Look() if row in known else look(bytes_of(image), most_megapixels)
        except Refused as error:
            return error

    row = 0
    for batch in rows.select_columns(["image"]).iter(AT_ONCE):
        numbers = range(row, row + len(batch["image"]))
        yield from zip(numbers, batch["image"], pool.map(one, numbers, batch["image"]), strict=True)
        row = numbers.stop


def name_image(image: dict | None) -> str:
    """An image by the name its owner knows."""
    path = image and image["path"]
    return f"image '{os.sep.join(Path(path).parts[-3:])}'" if path else "the embedded image" if image else "null"


def bytes_of(image: dict | None) -> bytes:
    """The bytes of an image's file.

    Raises:
        Refused: there are none.
    """
    if image is None or image["bytes"] is None and image["path"] is None:
        raise Refused("every row has an image", "Remove the row")
    try:
        return Path(image["path"]).read_bytes() if image["bytes"] is None else image["bytes"]
    except OSError as error:
        raise Refused(f"it cannot be read ({error.strerror})", "Mend or remove it") from error


def look(data: bytes, most_megapixels: float) -> Look:
    """The facts of an image file, after reading it to its end.

    Raises:
        Refused: it is empty, no image, damaged, too large, or its mode has no known range.
    """
    if not data:
        raise Refused("the file is empty", "Remove it, or fetch it again")
    try:
        image = Pillow.open(BytesIO(data), formats=FORMATS)
        # Known from the header, before a small file becomes gigabytes of pixels.
        small = image.width * image.height <= most_megapixels * 1e6
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        small = False
    except Exception as error:  # decoders raise anything on foreign bytes
        kinds = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise Refused(f"it cannot be read as an image ({kinds})", "Remove it, or save it as one") from error
    if not small:
        raise Refused(
            f"an image has at most {most_megapixels:g} megapixels",
            "Scale it down, or raise --max_megapixels if you trust the file",
        )
    mode = image.mode
    if mode not in (*MODES, *DEEP):
        raise Refused(f"pixels of mode {mode} have no known range", "Save it with 8 or 16 bits a channel")
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
        )
        # At an eighth of its size a JPEG is still read to its end, in a third of the time.
        image.draft("L", (1, 1))
        image.load()
    except Exception as error:  # decoders raise anything on foreign bytes
        raise Refused("the file is damaged or cut off", "Remove it, or fetch it again", first_line(error)) from error
    return seen


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
