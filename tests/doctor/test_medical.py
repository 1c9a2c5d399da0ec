"""Text in the pixels of pictures of people: what a file says of itself, and what looks like it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw

from hfkit.doctor.medical import examine_burnt_in, looks_written_on
from hfkit.doctor.rows import read_rows
from hfkit.tasks import ImageClassification, MedicalImages
from tests.tiny import images as tiny
from tests.tiny.scans import PERSON, dicom, study


def chest(seed: int = 0) -> Pillow.Image:
    """A smooth bright field on black, with noise."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[-1:1:200j, -1:1:180j]
    field = 255 * np.clip(1.2 - down**2 - across**2, 0, 1) + random.normal(0, 6, down.shape)
    return Pillow.fromarray(np.clip(field, 0, 255).astype(np.uint8))


def written_on(picture: Pillow.Image, text: str, place: tuple[int, int]) -> Pillow.Image:
    picture = picture.copy()
    ImageDraw.Draw(picture).text(place, text, fill=255)
    return picture


@pytest.mark.parametrize("seed", range(5))
def test_letters_in_a_margin_are_seen_and_a_chest_is_not(seed):
    assert not looks_written_on(chest(seed))
    assert looks_written_on(written_on(chest(seed), "DOE JOHN 1971-02-03", (4, 4)))
    assert not looks_written_on(chest(seed).resize((28, 28)))  # nothing could be read there


def test_a_file_that_says_so_is_a_warning_and_names_nobody(tmp_path):
    folder = Path(study(tmp_path, {"train": 3, "validation": 2, "test": 2}))
    pixels = np.random.default_rng(0).integers(0, 4000, (40, 36)).astype(np.uint16)
    own = {**PERSON, "PatientID": f"{PERSON['PatientID']}-train-0"}
    (folder / "train" / "001.dcm").write_bytes(dicom(pixels, BurnedInAnnotation="YES", **own))
    _, rows = read_rows(MedicalImages(dataset=str(folder), problem="multi-label"), None)
    (found,) = examine_burnt_in(rows)
    assert (found.check, found.severity) == ("burnt-in", "warning") and "1 of 14 (7.1 %) files" in found.what
    said = f"{found.what} {found.evidence} {found.fix}"
    assert "001.dcm" in said and not any(value in said for value in PERSON.values())


def test_marks_are_a_hint_and_other_tasks_are_left_alone(tmp_path):
    for split, count in (("train", 4), ("validation", 2), ("test", 2)):
        for number in range(count):
            label = "normal" if number % 2 else "pneumonia"
            place = tmp_path / split / label
            place.mkdir(parents=True, exist_ok=True)
            picture = chest(number)
            marked = split == "train" and number == 0
            (written_on(picture, "WARD 7 DOE JOHN", (3, 3)) if marked else picture).save(place / f"{number}.png")
    _, rows = read_rows(MedicalImages(dataset=str(tmp_path)), None)
    (found,) = examine_burnt_in(rows)
    assert (found.check, found.severity) == ("marks", "note") and "pneumonia/0.png" in str(found.evidence)
    _, rows = read_rows(ImageClassification(dataset=str(tmp_path)), None)
    assert examine_burnt_in(rows) == []
    clean = tmp_path / "train" / "pneumonia" / "0.png"
    clean.write_bytes(tiny.encoded(chest(0)))
    _, rows = read_rows(MedicalImages(dataset=str(tmp_path)), None)
    assert [(one.check, one.severity) for one in examine_burnt_in(rows)] == [("burnt-in", "ok")]
