"""The flags of tasks whose rows are pictures: where they are found, and which of them are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from hfkit.arguments.ranges import Range


@dataclass(frozen=True)
class ReadsPictures:
    """Pictures in a column, in folders, or in files that a table names."""

    image_column: str | None = field(default=None, metadata={"help": "column of images; default: the only one"})
    allow_outside_images: bool = field(
        default=False,
        metadata={"help": "follow paths out of the dataset's folder; addresses are never fetched"},
    )
    max_megapixels: float = field(
        default=50.0, metadata={"help": "larger images are bad rows; a small file can unpack to gigabytes"}
    )

    # From 89 megapixels on, Pillow takes a file for a decompression bomb.
    ranges: ClassVar[Mapping[str, Range]] = {"max_megapixels": Range(0.0, 89.0, above=True)}
    row_flags: ClassVar[tuple[str, ...]] = ("allow_outside_images", "max_megapixels")
