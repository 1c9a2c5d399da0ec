"""Rows of medical pictures: patients as units, and the frames or slices of scans."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datasets import Dataset, DatasetDict, Image, Value

from hfkit.contract.rows import Raw, Source
from hfkit.data.columns import match_usual
from hfkit.data.images.paths import PathFinder, image_rows
from hfkit.data.images.scans import DICOM, Axis, Header, Part, Refused, join_part, kind_of, read_header
from hfkit.data.notes import tell
from hfkit.data.units import find_unit_column
from hfkit.errors import UserError
from hfkit.tasks.classification.pictures import ClassifiedPictures, folder_of
from hfkit.tasks.classification.writing import Writing
from hfkit.tasks.findings.cells import find_columns, known_findings, unknown_findings

if TYPE_CHECKING:
    from hfkit.data.images.layout import PictureRows

# The first that is there.
PATIENT_COLUMNS = ("patient_id", "patient", "subject_id", "subject", "patient_number", "case_id", "case")
FINDING_COLUMNS = ("finding_labels", "findings", "finding", "pathology", "pathologies", "diagnosis", "diagnoses")
# A folder of one person, as CheXpert, MIMIC and BIDS name them.
PERSON = re.compile(r"(?:patient|pat|subject|sub|p)[-_ ]?\d{2,}", re.IGNORECASE)
TAG, FOLDER, FILE, FRAME = "PatientID", "folder of a patient", "file", "hfkit_frame"  # columns that are made here
START = 1 << 16  # bytes of a file that tell what it is
SHOWN = 5


@dataclass(frozen=True)
class MedicalPictures(ClassifiedPictures):
    """Classified pictures of people: the column `unit` says of whom, by a number.

    A person is found in a column, in the tag PatientID of DICOM files, or in the names of folders. Their own names and
    numbers are replaced as they are read.
    """

    window: str | None
    slices: Literal["middle", "all"]
    axis: Axis
    allow_shared_patients: bool
    withhold_pictures: bool

    # What the base class reads beside the answers

    def find_units(self, raw: DatasetDict, roots: Sequence[Path], image_column: str) -> tuple[DatasetDict, str | None]:
        """The splits with a row for each picture that is read, and the column of patients, who are numbered."""
        unit = find_unit_column(raw, self.unit_column) or find_patient_column(raw, image_column)
        headers: dict[str, list[Header]] = {}
        if unit is None or self.slices == "all":
            finder = PathFinder(roots, allow_outside=self.allow_outside_images)
            headers = {split: read_headers(rows, image_column, finder, self.axis) for split, rows in raw.items()}
        if unit is None:
            raw, unit = name_units(raw, image_column, headers, frames=self.slices == "all")
        if self.slices == "all":
            raw = DatasetDict({split: repeat_frames(split, rows, headers[split]) for split, rows in raw.items()})
        return (raw if unit is None else number_people(raw, unit)), unit

    def _read_folder(self, source: Source, folder: Path, only: tuple[str | None] | None) -> "PictureRows | None":
        found = super()._read_folder(source, folder, only)
        if found is not None and found.by_folder:
            labels = {label or "" for rows in found.splits.values() for label in rows["label"][:]}
            # A folder for each person is no class.
            return None if all(map(PERSON.fullmatch, labels)) else found
        return found

    def find_answers(
        self, splits: DatasetDict, inputs: Collection[str], unit: str | None
    ) -> tuple[DatasetDict, str, Writing]:
        if self.label_column or self.cells.columns:
            return super().find_answers(splits, inputs, unit)
        rows = next(iter(splits.values()))
        found = find_columns(rows, [*inputs, unit, FRAME]) if self.problem == "multi-label" else []
        if named := match_usual(rows.column_names, FINDING_COLUMNS):
            return replace(self, label_column=named[0]).find_answers(splits, inputs, unit)
        if found:
            tell(f"findings: the columns {', '.join(found)} of 1, 0, -1 or nothing")
            return replace(self, cells=replace(self.cells, columns=tuple(found))).find_answers(splits, inputs, unit)
        return super().find_answers(splits, inputs, unit)

    def choose_parts(self, images: Dataset, came: Dataset) -> Dataset:
        if FRAME not in came.column_names and self.window is None and self.axis == "axial":
            return images
        frames = came[FRAME][:] if FRAME in came.column_names else [None] * len(images)
        parts = [Part(frame, self.window, self.axis) for frame in frames]
        located = images["image"][:]
        return image_rows(
            [
                image and {"bytes": image["bytes"], "path": join_part(image["path"], part)}
                for image, part in zip(located, parts, strict=True)
            ]
        )

    # What reports and the doctor ask

    @property
    def shows_pictures(self) -> bool:
        return not self.withhold_pictures

    def says_burnt_in(self, image: Mapping[str, Any]) -> bool:
        from hfkit.data.images.dicom import says_burnt_in
        from hfkit.data.images.files import bytes_of

        data = bytes_of(dict(image))
        return kind_of(data) == DICOM and says_burnt_in(data)

    def read_grey(self, image: Mapping[str, Any]) -> Any:
        from hfkit.data.images.pictures import decode_image

        return decode_image(dict(image), folder_of(self.dataset), 1)

    # Checks of all splits

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        splits = super().settle(splits, raw, finished=finished)
        if not finished and "unit" in splits["train"].column_names:
            refuse_shared(splits, raw.columns.get("unit", ""), allowed=self.allow_shared_patients)
        tell_unknown(splits)
        return splits

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        facts = super().facts(splits)
        for split, rows in splits.items():
            if "unit" in rows.column_names:
                facts[split]["patients"] = len(set(rows["unit"][:]))
        return facts


# Patients


def find_patient_column(raw: DatasetDict, image_column: str) -> str | None:
    """The column of patients, by its usual name, which is told."""
    found = [
        name for name in match_usual(next(iter(raw.values())).column_names, PATIENT_COLUMNS) if name != image_column
    ]
    if not found:
        return None
    tell(f"patients: the column '{found[0]}'")
    return find_unit_column(raw, found[0])


def name_units(
    raw: DatasetDict, image_column: str, headers: Mapping[str, list[Header]], *, frames: bool
) -> tuple[DatasetDict, str | None]:
    """The splits with a column of whom each row shows, and its name; None if nothing says so.

    Args:
        frames: a file becomes several rows, which belong together whoever they show.
    """
    people = {split: [header.patient for header in of_split] for split, of_split in headers.items()}
    if any(person for of_split in people.values() for person in of_split):
        name, said = TAG, "the tag PatientID of the files"
    else:
        people = {split: [find_person(path) for path in paths_of(rows, image_column)] for split, rows in raw.items()}
        if all(person for of_split in people.values() for person in of_split):
            name, said = FOLDER, "the folders called after them"
        elif frames:
            people, name, said = {split: [None] * len(rows) for split, rows in raw.items()}, FILE, "one for each file"
        else:
            return raw, None
    tell(f"patients: {said}")
    while any(name in rows.column_names for rows in raw.values()):
        name += "_"
    named = {
        # A file that names nobody stands for itself.
        split: [person or f"{split} {row}" for row, person in enumerate(of_split)]
        for split, of_split in people.items()
    }
    return DatasetDict(
        {split: rows.add_column(name, named[split], feature=Value("string")) for split, rows in raw.items()}
    ), name


def find_person(path: str | None) -> str | None:
    """The innermost folder of a path that is called after a person; MIMIC has those of many in folders such as p10."""
    parts = (path or "").replace("\\", "/").split("/")[:-1]
    # Without those above: the same person may be in the folder of another split.
    return next((part.casefold() for part in reversed(parts) if PERSON.fullmatch(part)), None)


def paths_of(rows: Dataset, column: str) -> list[str | None]:
    """The path of every image as it is written; None for one that is embedded."""
    if isinstance(rows.features[column], Image):
        table = rows.select_columns([column]).cast_column(column, Image(decode=False))
        return [None if image is None or image["bytes"] is not None else image["path"] for image in table[column]]
    return [value if isinstance(value, str) else None for value in rows[column][:]]


def number_people(raw: DatasetDict, unit: str) -> DatasetDict:
    """The splits with a number for each person, by first appearance, in place of a name."""
    numbers: dict[Any, str] = {}

    def number(value: Any) -> Any:
        # What names nobody stays, to be a fault of its row.
        known = type(value) in (str, int) and value != ""
        return numbers.setdefault(value, f"patient {len(numbers) + 1}") if known else None

    renamed = {split: [number(value) for value in rows[unit][:]] for split, rows in raw.items()}
    return DatasetDict(
        {
            split: rows.remove_columns(unit).add_column(unit, renamed[split], feature=Value("string"))
            for split, rows in raw.items()
        }
    )


def refuse_shared(splits: DatasetDict, column: str, *, allowed: bool) -> None:
    """Refuse patients whose pictures are in two splits: a model may know them instead of the disease.

    Raises:
        UserError: with the rows of the first ones, whom it does not name.
    """
    rows_of: dict[str, dict[str, int]] = {}
    for split, rows in splits.items():
        for row, unit in enumerate(rows["unit"][:]):
            rows_of.setdefault(unit, {}).setdefault(split, row)
    shared = {unit: places for unit, places in rows_of.items() if len(places) > 1}
    if not shared:
        return
    listed = "; ".join(
        f"{unit}: {', '.join(f'{split} row {row}' for split, row in places.items())}"
        for unit, places in list(shared.items())[:SHOWN]
    )
    listed += f"; and {len(shared) - SHOWN:,} more" if len(shared) > SHOWN else ""
    if allowed:
        tell(f"{len(shared):,} patients are in two splits, and the score is too good: {listed}")
        return
    raise UserError(
        f"{len(shared):,} patients of '{column}' in two splits ({listed})",
        "all pictures of a patient are in one split, or the test knows what training saw",
        "Divide the dataset by patient: give hfkit one file without splits and it does; or lift this with"
        " --allow_shared_patients",
    )


def tell_unknown(splits: DatasetDict) -> None:
    """Tell how many answers are not known, and which findings all rows of a split have or lack."""
    for split, rows in splits.items():
        answers = rows["label"][:]
        if not answers or isinstance(answers[0], str):
            continue
        if unknown := sum(len(unknown_findings(answer)) for answer in answers):
            tell(f"{split}: {unknown:,} answers are not known and left out of loss and scores")
        names = {
            name for of_split in splits.values() for answer in of_split["label"][:] for name in known_findings(answer)
        }
        there = {name: sum(name in answer for answer in answers) for name in names}
        decided = {name: sum(f"{name}?" not in answer for answer in answers) for name in names}
        alike = sorted(name for name in names if not 0 < there[name] < decided[name])
        if split != "train" and alike:
            tell(f"{split}: all rows have or all lack {', '.join(alike)}, which is left out of the scores")


# Frames and slices


def read_headers(rows: Dataset, column: str, finder: PathFinder, axis: Axis) -> list[Header]:
    """Facts of every file; those of a plain picture for one that is not there, which is told when it is looked at."""
    if not isinstance(rows.features[column], Image | Value):
        return [Header()] * len(rows)
    if isinstance(rows.features[column], Image):
        rows = rows.cast_column(column, Image(decode=False))
    found = []
    for batch in rows.select_columns([column]).iter(256):
        found += [read_header_of(value, finder, axis) for value in batch[column]]
    return found


def read_header_of(value: Any, finder: PathFinder, axis: Axis) -> Header:
    data = value["bytes"] if isinstance(value, dict) else value if isinstance(value, bytes) else None
    path = value["path"] if isinstance(value, dict) else value
    if data is None and isinstance(path, str):
        try:
            place = Path(finder.find(path).place)
            with place.open("rb") as file:
                data = file.read(START)
                # Elements of a person may stand anywhere before the pixels.
                data = data + file.read() if kind_of(data) == DICOM else data
        except (Refused, OSError):
            return Header()
    return Header() if data is None else read_header(data, axis)


def repeat_frames(split: str, rows: Dataset, headers: Sequence[Header]) -> Dataset:
    """A row for each frame or slice, which are counted."""
    places = [(row, frame) for row, header in enumerate(headers) for frame in range(header.frames)]
    files = sum(header.frames > 1 for header in headers)
    if files:
        tell(f"{split}: {files:,} files of several frames or slices are {len(places) - len(rows) + files:,} rows")
    frames = [frame if headers[row].frames > 1 else None for row, frame in places]
    return rows.select([row for row, _ in places]).add_column(FRAME, frames, feature=Value("int32"))
