"""Instance segmentation: the classes of objects in a picture, and the pixels of each."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from transformers import AutoModelForUniversalSegmentation

from hfkit.contract.target import Target
from hfkit.contract.task import Sample, Task
from hfkit.samples.objects import sample_instances
from hfkit.tasks.classification.pictures import folder_of
from hfkit.tasks.detection.codec import Variation
from hfkit.tasks.detection.target import Objects
from hfkit.tasks.instances.codec import InstanceFinder
from hfkit.tasks.instances.judge import InstanceJudge
from hfkit.tasks.instances.rows import OBJECTS, InstanceRows
from hfkit.tasks.instances.view import InstancePictures
from hfkit.tasks.pictured import ReadsPictures


@dataclass(frozen=True)
class InstanceSegmentation(ReadsPictures, Task):
    """Pictures, and the pixels of each object in them."""

    objects_column: str | None = field(
        default=None,
        metadata={"help": f"column of regions and classes; default: the one named {' or '.join(OBJECTS[0])}"},
    )
    mask_column: str | None = field(
        default=None,
        metadata={
            "help": "column of pictures in which every object has a number and 0 is none; default: the one named"
            " instances, mask or the like"
        },
    )
    class_name: str = field(
        default="object", metadata={"help": "class of all objects, where masks have numbers and nothing names classes"}
    )
    augmentation: Literal["none", "light", "standard", "strong"] = field(
        default="light",
        metadata={"help": "how training pictures vary: in colour, or also by crops that keep objects"},
    )
    flip: Literal["none", "horizontal"] = field(
        default="none",
        metadata={"help": "horizontal: half of the training pictures mirrored; wrong for text and road signs"},
    )

    key: ClassVar[str] = "instance-segmentation"
    tag: ClassVar[str] = "image-segmentation"
    auto_model: ClassVar[type] = AutoModelForUniversalSegmentation
    sample: ClassVar[Sample] = Sample("sample-mask2former", sample_instances, license="apache-2.0")
    target_kind: ClassVar[type[Objects]] = Objects
    row_flags: ClassVar[tuple[str, ...]] = (
        *ReadsPictures.row_flags,
        *("image_column", "objects_column", "mask_column", "class_name"),
    )

    @property
    def rows(self) -> InstanceRows:
        return InstanceRows(
            self.dataset,
            self.image_column,
            self.objects_column,
            self.unit_column,
            self.allow_outside_images,
            self.max_megapixels,
            self.sample.rows,
            mask_column=self.mask_column,
            class_name=self.class_name,
        )

    @property
    def judge(self) -> InstanceJudge:
        return InstanceJudge()

    @property
    def view(self) -> InstancePictures:
        return InstancePictures(self.judge, folder_of(self.dataset))

    def codec(self, checkpoint: str, target: Target) -> InstanceFinder:
        return InstanceFinder(
            checkpoint,
            self.path(checkpoint),
            target,
            self.head_config(target),
            folder=folder_of(self.dataset),
            variation=Variation(self.augmentation, self.flip == "horizontal"),
        )

    def guess_target(self, labels: int) -> Any:
        return Objects(tuple(map(str, range(labels))))
