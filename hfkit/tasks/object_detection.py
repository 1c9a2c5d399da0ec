"""Object detection: the classes of objects in a picture, and the box of each."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from transformers import AutoModelForObjectDetection

from hfkit.contract.target import Target
from hfkit.contract.task import Sample, Task
from hfkit.errors import UserError
from hfkit.samples.objects import sample_objects
from hfkit.tasks.classification.pictures import folder_of
from hfkit.tasks.detection.boxes import AUTO, WRITINGS
from hfkit.tasks.detection.codec import BoxFinder, Variation
from hfkit.tasks.detection.judge import BoxJudge
from hfkit.tasks.detection.rows import OBJECTS, BoxedPictureRows
from hfkit.tasks.detection.target import Objects
from hfkit.tasks.detection.view import BoxedPictures
from hfkit.tasks.pictured import ReadsPictures


@dataclass(frozen=True)
class ObjectDetection(ReadsPictures, Task):
    """Pictures, and the boxes of the objects in them."""

    objects_column: str | None = field(
        default=None,
        metadata={"help": f"column of boxes and classes; default: the one named {' or '.join(OBJECTS[0])} or the like"},
    )
    box_format: str = field(
        default=AUTO,
        metadata={
            "help": "the meaning of a box's four numbers: xyxy, xywh or cxcywh in pixels, or one of these with -percent"
            " or -shares; auto: the only one that fits the pictures"
        },
    )
    augmentation: Literal["none", "light", "standard", "strong"] = field(
        default="light",
        metadata={"help": "how training pictures vary: in colour, or also by crops that keep objects"},
    )
    flip: Literal["none", "horizontal"] = field(
        default="none",
        metadata={"help": "horizontal: half of the training pictures mirrored; wrong for text and road signs"},
    )
    mosaic: bool = field(
        default=False, metadata={"help": "half of the training pictures are made of four pictures of their batch"}
    )

    key: ClassVar[str] = "object-detection"
    tag: ClassVar[str] = "object-detection"
    auto_model: ClassVar[type] = AutoModelForObjectDetection
    sample: ClassVar[Sample] = Sample("sample-detector", sample_objects, license="apache-2.0")
    target_kind: ClassVar[type[Objects]] = Objects
    row_flags: ClassVar[tuple[str, ...]] = (
        *ReadsPictures.row_flags,
        *("image_column", "objects_column", "box_format"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.box_format not in (AUTO, *WRITINGS):
            raise UserError(
                f"box_format={self.box_format}", f"it is {AUTO}, {', '.join(WRITINGS)}", "Give one of these"
            )

    @property
    def rows(self) -> BoxedPictureRows:
        return BoxedPictureRows(
            self.dataset,
            self.image_column,
            self.objects_column,
            self.unit_column,
            self.allow_outside_images,
            self.max_megapixels,
            self.sample.rows,
            box_format=self.box_format,
        )

    @property
    def judge(self) -> BoxJudge:
        return BoxJudge()

    @property
    def view(self) -> BoxedPictures:
        return BoxedPictures(folder_of(self.dataset))

    def codec(self, checkpoint: str, target: Target) -> BoxFinder:
        return BoxFinder(
            checkpoint,
            self.path(checkpoint),
            target,
            self.head_config(target),
            folder=folder_of(self.dataset),
            variation=Variation(self.augmentation, self.flip == "horizontal", self.mosaic),
        )

    def guess_target(self, labels: int) -> Any:
        return Objects(tuple(map(str, range(labels))))
