"""Findings in medical pictures: DICOM, NIfTI or plain files, one patient in one split, judged by ROC curves."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal

import numpy as np
from datasets import Dataset
from transformers import PreTrainedConfig

from hfkit.contract.target import Labels
from hfkit.contract.task import Loaded, Sample
from hfkit.data.images.scans import WINDOWS, Axis, parse_window
from hfkit.data.notes import tell
from hfkit.errors import UserError
from hfkit.model.weights import read_config
from hfkit.samples.xrays import sample_xrays
from hfkit.tasks.classification.kinds import Kind
from hfkit.tasks.classification.pictures import folder_of
from hfkit.tasks.findings.cells import Blank, Uncertain
from hfkit.tasks.findings.grey import Grey, GreyClassifier, describe_grey
from hfkit.tasks.findings.kinds import Findings, OneFinding
from hfkit.tasks.findings.patients import MedicalPictures
from hfkit.tasks.findings.view import MedicalPicture
from hfkit.tasks.image_classification import ImageClassification


@dataclass(frozen=True)
class MedicalImages(ImageClassification):
    """Pictures of patients with one class each, or with any number of findings.

    As plain values: a prediction maps every class or finding to its likelihood; a reference is a class, or a list of
    the findings that are there, with those that nobody knows marked by a `?` behind their names.
    """

    problem: Literal["single-label", "multi-label"] = field(
        default="single-label", metadata={"help": "one class a picture, or any number of findings"}
    )
    uncertain: Uncertain = field(
        default="ignore", metadata={"help": "findings of -1: left out of loss and scores, or taken for 1 or 0"}
    )
    blank: Blank = field(
        default="ignore",
        metadata={"help": "findings without a value: left out of loss and scores, or taken for 0"},
    )
    no_finding: str | None = field(
        default=None,
        metadata={"help": "the label that nothing was found; default: one called 'No Finding', 'normal' …"},
    )
    window: str | None = field(
        default=None,
        metadata={
            "help": f"of scans: a centre and a width such as 40,400, a name ({', '.join(WINDOWS)}), or range for all of"
            " their numbers; default: that of each file"
        },
    )
    slices: Literal["middle", "all"] = field(
        default="middle", metadata={"help": "of a scan of several frames or slices: the middle one, or a row for each"}
    )
    slice_axis: Axis = field(default="axial", metadata={"help": "along which a volume is cut"})
    grey: Grey = field(
        default="repeat",
        metadata={
            "help": "for a checkpoint of colours: grey in each channel, or one channel and the first weights summed"
        },
    )
    allow_shared_patients: bool = field(
        default=False, metadata={"help": "train although pictures of a patient are in two splits; scores are too good"}
    )

    withhold_pictures: bool = field(
        default=False, metadata={"help": "leave all pictures out of report and card, which a push publishes"}
    )

    key: ClassVar[str] = "medical-images"
    sample: ClassVar[Sample] = Sample("sample-resnet", sample_xrays, license="cc-by-4.0", synthetic=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window is not None:
            parse_window(self.window)
        if self.out_of_scope is not None:
            raise UserError(f"out_of_scope={self.out_of_scope}", "findings have no such class", "Leave it out")
        if self.mix != "none" and self.problem == "multi-label":
            raise UserError(f"mix={self.mix}", "it would mix what is not known into what is", "Leave it out")

    @property
    def kind(self) -> Kind:
        if self.problem == "single-label":
            return OneFinding(self.no_finding)
        return Findings(self.uncertain, self.blank, self.no_finding)

    @property
    def rows(self) -> MedicalPictures:
        shared = super().rows
        return MedicalPictures(
            **{one.name: getattr(shared, one.name) for one in fields(shared)},
            window=self.window,
            slices=self.slices,
            axis=self.slice_axis,
            allow_shared_patients=self.allow_shared_patients,
            withhold_pictures=self.withhold_pictures,
        )

    def load(self, checkpoint: str | None = None) -> Loaded:
        loaded = super().load(checkpoint)
        if checkpoint is None:
            return loaded
        inputs = self.describe_inputs(read_config(self.path(checkpoint)))
        tell(inputs)
        return replace(loaded, notes=(*loaded.notes, inputs))

    def codec(self, checkpoint: str, target: Labels) -> GreyClassifier:
        return GreyClassifier(
            checkpoint,
            self.path(checkpoint),
            target,
            super().head_config(target),  # the codec takes the checkpoint as it is: one channel would not fit it yet
            self.kind,
            folder=folder_of(self.dataset),
            variation=self.variation,
            balanced=self.class_weights == "balanced",
            grey=self.grey,
        )

    def head_config(self, target: Labels) -> dict[str, Any]:
        return super().head_config(target) | ({"num_channels": 1} if self.grey == "sum" else {})

    def describe_inputs(self, config: PreTrainedConfig) -> str:
        return describe_grey(self.grey, getattr(config, "num_channels", None))

    @property
    def view(self) -> MedicalPicture:
        return MedicalPicture(self.kind, folder_of(self.dataset), self.grey)

    def units(self, rows: Dataset) -> np.ndarray | None:
        """The patient of each row, if anything says so."""
        return np.array(rows["unit"][:]) if "unit" in rows.column_names else None

    def name_unit(self, rows: Dataset) -> str:
        return self.unit_column or ("patient" if "unit" in rows.column_names else self.rows.unit)
