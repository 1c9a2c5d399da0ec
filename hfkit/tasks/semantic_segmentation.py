"""Semantic segmentation: a class for every pixel of a picture, learnt from masks beside pictures or in a column."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from transformers import AutoModelForSemanticSegmentation

from hfkit.arguments.ranges import Range
from hfkit.contract.target import Labels
from hfkit.contract.task import Sample, Task
from hfkit.data.images.palettes import read_palette
from hfkit.samples.shapes import CLASSES, sample_shapes
from hfkit.tasks.classification.pictures import folder_of
from hfkit.tasks.masks.classes import ClassFlags, MaskClasses
from hfkit.tasks.masks.codec import Segmenter
from hfkit.tasks.masks.judge import MaskJudge
from hfkit.tasks.masks.losses import LossName
from hfkit.tasks.masks.rows import MaskedPictures
from hfkit.tasks.masks.view import MaskedPicture
from hfkit.tasks.pictured import ReadsPictures


@dataclass(frozen=True)
class SemanticSegmentation(ReadsPictures, Task):
    """Pictures with a class for every pixel."""

    mask_column: str | None = field(
        default=None, metadata={"help": "column of masks; default: the one named mask, label, annotation or the like"}
    )
    class_names: str | None = field(
        default=None,
        metadata={"help": "of the numbers in masks, from 0 on: between commas, or a file of lines or JSON"},
    )
    ignore_index: int | None = field(
        default=None,
        metadata={"help": "the number of pixels without a class, -1 for none; default: 255, unless 0 is all beside it"},
    )
    reduce_labels: bool = field(
        default=False, metadata={"help": "0 in a mask is no class, and the first class is 1, as in ADE20K"}
    )
    palette: str | None = field(
        default=None,
        metadata={"help": "of masks in RGB: 'sky:0,0,255; tree:0,128,0', or a file with such a line for each class"},
    )
    augmentation: Literal["none", "light", "standard", "strong"] = field(
        default="light",
        metadata={"help": "how training images vary, their masks in step: crops from large to small, and colours"},
    )
    flip: Literal["none", "horizontal"] = field(
        default="none",
        metadata={
            "help": "horizontal: half of the training images mirrored with their masks; wrong where sides matter"
        },
    )
    image_cache: bool = field(
        default=True,
        metadata={
            "help": "decode every image once and keep it, shrunk to what the crops of --augmentation need; false crops"
            " from the file in every epoch"
        },
    )
    loss: LossName = field(
        default="cross-entropy",
        metadata={"help": "of a pixel; or dice, of the areas of each class in a batch; or the sum of both"},
    )
    class_weights: Literal["none", "balanced"] = field(
        default="none", metadata={"help": "balanced: every class counts alike in the loss, however few pixels it has"}
    )

    key: ClassVar[str] = "semantic-segmentation"
    tag: ClassVar[str] = "image-segmentation"
    auto_model: ClassVar[type] = AutoModelForSemanticSegmentation
    target_kind: ClassVar[type[Labels]] = MaskClasses
    ranges: ClassVar[Mapping[str, Range]] = {"ignore_index": Range(0, 65_535, also=(-1,))}
    row_flags: ClassVar[tuple[str, ...]] = (
        *ReadsPictures.row_flags,
        *("image_column", "mask_column", "class_names", "ignore_index", "reduce_labels", "palette"),
    )
    sample: ClassVar[Sample] = Sample("sample-segformer", sample_shapes, license="apache-2.0")

    @property
    def flags(self) -> ClassFlags:
        """The flags about the numbers in masks."""
        palette = None if self.palette is None else read_palette(self.palette)
        sampled = ",".join(CLASSES) if self.dataset == "sample" else None
        return ClassFlags(self.class_names or sampled, self.ignore_index, self.reduce_labels, palette)

    @property
    def rows(self) -> MaskedPictures:
        return MaskedPictures(
            self.dataset,
            self.image_column,
            self.mask_column,
            self.unit_column,
            self.allow_outside_images,
            self.max_megapixels,
            self.on_bad_row,
            self.flags,
            self.sample.rows,
        )

    @property
    def judge(self) -> MaskJudge:
        return MaskJudge()

    @property
    def view(self) -> MaskedPicture:
        return MaskedPicture(self.judge, folder_of(self.dataset))

    def codec(self, checkpoint: str, target: MaskClasses) -> Segmenter:
        return Segmenter(
            checkpoint,
            self.path(checkpoint),
            target,
            self.head_config(target),
            folder=folder_of(self.dataset),
            palette=self.flags.palette,
            augmentation=self.augmentation,
            flipped=self.flip == "horizontal",
            shrunk=self.image_cache,
            loss=self.loss,
            balanced=self.class_weights == "balanced",
        )

    def guess_target(self, labels: int) -> MaskClasses:
        return MaskClasses(tuple(map(str, range(labels))), None, tuple(range(labels)))
