"""Classification of images in class folders or in a column: checked once, decoded when they are needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from transformers import AutoModelForImageClassification

from hfkit.arguments.ranges import RATE, Range
from hfkit.contract.target import Labels
from hfkit.contract.task import Sample
from hfkit.errors import UserError
from hfkit.samples.digits import sample_digits
from hfkit.tasks.classification.flags import Classification
from hfkit.tasks.classification.pictures import (
    ClassifiedPicture,
    ClassifiedPictures,
    PictureClassifier,
    Variation,
    folder_of,
)
from hfkit.tasks.pictured import ReadsPictures


@dataclass(frozen=True)
class ImageClassification(ReadsPictures, Classification):
    """Pictures with a class, several, or a number."""

    augmentation: Literal["none", "light", "standard", "strong"] = field(
        default="light",
        metadata={"help": "how training images vary: a crop of most of it, of less and with colour, or much of all"},
    )
    flip: Literal["none", "horizontal"] = field(
        default="none",
        metadata={
            "help": "horizontal: half of the training images mirrored; right for photographs, wrong for digits,"
            " text and X-rays"
        },
    )
    mix: Literal["none", "mixup", "cutmix", "both"] = field(
        default="none", metadata={"help": "mix the images of a training batch, and their labels with them"}
    )
    mix_alpha: float = field(
        default=0.2, metadata={"help": "how evenly two images are mixed: near 0 hardly, 1 any share alike"}
    )
    image_cache: bool = field(
        default=True,
        metadata={
            "help": "decode every image once and keep it, shrunk to what the crops of --augmentation need; false crops"
            " from the file in every epoch"
        },
    )
    tta: Literal["none", "flip", "crops"] = field(
        default="none",
        metadata={"help": "judge by the mean over views: also mirrored, or also the four corners"},
    )

    key: ClassVar[str] = "image-classification"
    tag: ClassVar[str] = "image-classification"
    auto_model: ClassVar[type] = AutoModelForImageClassification
    ranges: ClassVar[Mapping[str, Range]] = {"mix_alpha": RATE}
    sample: ClassVar[Sample] = Sample("sample-resnet", sample_digits, license="cc-by-4.0", synthetic=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mix != "none" and not self.kind.names_labels:
            raise UserError(f"mix={self.mix} with problem={self.problem}", "it mixes classes", "Leave it out")

    @property
    def rows(self) -> ClassifiedPictures:
        return ClassifiedPictures(
            self.kind,
            self.problem,
            self.label_column,
            self.cells,
            self.out_of_scope,
            self.unit_column,
            self.dataset,
            self.image_column,
            self.allow_outside_images,
            self.max_megapixels,
            self.on_bad_row,
            self.sample.rows,
        )

    @property
    def variation(self) -> Variation:
        """How training images vary, and in how many views the others are seen."""
        return Variation(
            self.augmentation, self.flip == "horizontal", self.mix, self.mix_alpha, self.image_cache, self.tta
        )

    def codec(self, checkpoint: str, target: Labels) -> PictureClassifier:
        return PictureClassifier(
            checkpoint,
            self.path(checkpoint),
            target,
            self.head_config(target),
            self.kind,
            folder=folder_of(self.dataset),
            variation=self.variation,
            balanced=self.class_weights == "balanced",
        )

    @property
    def view(self) -> ClassifiedPicture:
        return ClassifiedPicture(self.kind, folder_of(self.dataset))
