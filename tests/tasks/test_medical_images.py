"""Findings in scans: from DICOM files and a table to a report, and nothing of a patient in anything that is written."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image as Pillow
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hfkit.errors import DataError, UserError
from hfkit.inference.saved import load_saved
from hfkit.tasks import MedicalImages
from hfkit.tasks.findings.patients import find_person
from tests.fixtures.commands import hfkit
from tests.fixtures.finished import run_recipe
from tests.tiny import images as tiny
from tests.tiny.scans import NAME, PERSON, dicom, nifti, study

PLANTED = [*PERSON.values(), *NAME.split("^"), "PLANTED"]


NAMES = ("Effusion", "Fracture", "Mass")
LABELS = {", ".join(some) or "none" for count in range(4) for some in combinations(NAMES, count)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    return study(tmp_path_factory.mktemp("study"), {"train": 12, "validation": 8, "test": 10})


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory) -> Path:
    """A run on DICOM files, with one channel."""
    place = tmp_path_factory.mktemp("run")
    checkpoint = tiny.resnet(place / "checkpoint")
    flags = ("--checkpoint", checkpoint, "--dataset", dataset, "--problem", "multi-label", "--grey", "sum")
    flags += ("--baseline", "majority", "pixels", "--max_steps", "6", "--cache_dir")
    run_recipe("medical_images", *flags, str(place / "cache"), "--output_dir", str(place / "model"))
    return place


def test_a_run_on_dicom_files_is_judged_by_patients(finished, dataset):
    report = json.loads((finished / "model" / "report.json").read_text())
    names = [contender["name"] for contender in report["contenders"]]
    scores = {contender["name"]: contender["scores"] for contender in report["contenders"]}
    assert report["task"]["key"] == "medical-images" and report["task"]["unit"] == "patient"
    assert list(scores[names[0]]) == ["auroc", "auprc", "sensitivity_at_90_specificity", "balanced_accuracy"]
    assert scores["majority"]["auroc"] == 0.5 and scores["pixels"]["auroc"] > 0.8
    assert report["data"]["notes"][-1].startswith("Grey: one channel")
    assert {shown["label"] for shown in report["pictures"]} <= LABELS
    of_test = report["data"]["test"]
    assert of_test["rows"] == 20 and of_test["patients"] == 10 and of_test["not_known"] == {"Effusion": 3, "Mass": 4}
    assert (
        "Mass" in report["breakdown"]["note"]
        and "Not known, and in no score: 7 answers." in report["breakdown"]["note"]
    )


def test_nothing_of_a_patient_is_written(finished, dataset, tmp_path, capsys):
    """Neither by training, with its caches, nor by asking, nor by the doctor, nor in a message about a bad file."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    files = sorted(Path(dataset, "test").glob("*.dcm"))[:3]
    for number, file in enumerate(files):
        (inputs / f"{number}.dcm").write_bytes(file.read_bytes())
    asked = hfkit("predict", str(finished / "model"), *map(str, sorted(inputs.glob("*.dcm"))), "--probabilities")
    assert asked.exit_code == 0, asked.output
    assert len(asked.stdout.splitlines()) >= 3
    looked = hfkit("doctor", "--task", "medical-images", "--dataset", dataset, "--problem", "multi-label", columns=200)
    assert "Mass" in looked.output
    (inputs / "cut.dcm").write_bytes(files[0].read_bytes()[:-100])
    cut = hfkit("predict", str(finished / "model"), str(inputs / "cut.dcm"))
    assert cut.exit_code == 2 and "damaged or cut off" in cut.output
    written = [path for path in finished.rglob("*") if path.is_file()]
    assert len(written) > 10
    outputs = [path.read_bytes() for path in written]
    outputs += [result.output.encode() for result in (asked, looked, cut)]
    for value in PLANTED:
        assert not any(value.encode() in output for output in outputs), value
    # As utf-16, or within a picture of base64, they would be written otherwise.
    assert not any("PLANTED".encode("utf-16-le") in output for output in outputs)
    assert not any(b"DICM" in output for output in outputs)


def test_a_saved_model_of_one_channel_needs_no_hfkit(finished):
    """Stock classes answer as hfkit does, on pictures that were grey all along."""
    place = str(finished / "model")
    model = AutoModelForImageClassification.from_pretrained(place).eval()
    processor = AutoImageProcessor.from_pretrained(place)
    assert model.config.num_channels == 1 and len(processor.image_mean) == 1
    random = np.random.default_rng(1)
    pictures = [Pillow.fromarray(random.integers(0, 256, (40, 36), dtype=np.uint8)) for _ in range(3)]
    with torch.no_grad():
        likely = model(**processor(pictures, return_tensors="pt")).logits.sigmoid().numpy()
    rows = Dataset.from_list([{"image": {"bytes": tiny.encoded(picture), "path": None}} for picture in pictures])
    ours = [row.likelihoods for row in load_saved(place).predict_table(rows)]
    for row, expected in zip(ours, likely, strict=True):
        assert list(row) == list(model.config.id2label.values())
        assert np.allclose(list(row.values()), expected, atol=1e-4)


@pytest.mark.slow
def test_pictures_can_be_withheld(dataset, tmp_path, monkeypatch):
    """From the report and the card, and so from a push; scores stay as they are."""
    monkeypatch.chdir(tmp_path)
    checkpoint = tiny.resnet(tmp_path / "checkpoint")
    flags = ("--checkpoint", checkpoint, "--dataset", dataset, "--problem", "multi-label", "--baseline", "majority")
    run_recipe("medical_images", *flags, "--max_steps", "2", "--output_dir", "withheld", "--withhold_pictures", "true")
    report = json.loads(Path("withheld/report.json").read_text())
    assert report["pictures"] == [] and report["examples"] == {} and "explained" not in report
    assert report["errors"] and all(error["picture"] == "" for error in report["errors"])
    assert not list(Path("withheld").rglob("*.png"))
    assert all("data:image" not in Path("withheld", name).read_text() for name in ("report.html", "README.md"))
    assert hfkit("card", "lint", "withheld").exit_code == 0


# Patients


def test_a_patient_in_two_splits_is_an_error_without_a_name(tmp_path):
    folder = Path(study(tmp_path, {"train": 3, "validation": 2, "test": 2}))
    (folder / "test" / "999.dcm").write_bytes((folder / "train" / "000.dcm").read_bytes())
    with (folder / "test.csv").open("a") as file:
        file.write("test/999.dcm,1,0,0\n")
    task = MedicalImages(dataset=str(folder), problem="multi-label")
    with pytest.raises(
        UserError, match=r"1 patients of 'PatientID' in two splits \(patient 1: train row 0, test row 4\)"
    ) as error:
        task.load()
    assert "--allow_shared_patients" in str(error.value) and not any(value in str(error.value) for value in PLANTED)
    loaded = MedicalImages(dataset=str(folder), problem="multi-label", allow_shared_patients=True).load()
    assert any("the score is too good" in note for note in loaded.notes)
    assert list(task.units(loaded["test"])) == ["patient 6"] * 2 + ["patient 7"] * 2 + ["patient 1"]


def test_patients_are_found_in_a_column_or_in_folders_and_stay_together(tmp_path):
    lines = ["Image Index,Finding Labels,Patient ID"]
    for number in range(40):
        label = ("Mass|Edema", "No Finding", "Edema")[number % 3]
        tiny.picture("red", number).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{label},{number // 4}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    flags = {"problem": "multi-label", "image_column": "Image Index"}
    loaded = MedicalImages(dataset=str(tmp_path / "rows.csv"), **flags).load()
    assert loaded.labels == ["Edema", "Mass"]  # 'No Finding' is none
    people = {split: set(rows["unit"]) for split, rows in loaded.splits.items()}
    assert not people["train"] & people["test"] and not people["train"] & people["validation"]
    assert sum(len(rows) for rows in loaded.splits.values()) == 40

    for number in range(12):
        place = tmp_path / "folders" / f"patient{number // 2:05d}" / "study1"
        place.mkdir(parents=True, exist_ok=True)
        tiny.picture("red", number).save(place / f"view{number}.png")
    lines = ["Path,Mass,Edema"] + [
        f"folders/patient{number // 2:05d}/study1/view{number}.png,{number % 2},{number % 3 % 2}"
        for number in range(12)
    ]
    (tmp_path / "folders.csv").write_text("\n".join(lines) + "\n")
    loaded = MedicalImages(dataset=str(tmp_path / "folders.csv"), problem="multi-label").load()
    assert len({unit for rows in loaded.splits.values() for unit in rows["unit"]}) == 6


def test_a_folder_as_chexpert_has_it_is_read_by_its_table(tmp_path):
    """Its folders are called train and after patients, and are neither splits nor classes."""
    lines = ["Path,Sex,No Finding,Edema,Mass"]
    for number in range(16):
        place = tmp_path / "CheXpert" / "train" / f"patient{number // 2:05d}" / "study1"
        place.mkdir(parents=True, exist_ok=True)
        tiny.picture("red", number).save(place / f"view{number}.jpg")
        path = f"CheXpert/train/patient{number // 2:05d}/study1/view{number}.jpg"
        lines.append(f"{path},Female,,{('1.0', '', '-1.0', '0.0')[number % 4]},{('', '1.0', '0.0')[number % 3]}")
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    loaded = MedicalImages(dataset=str(tmp_path), problem="multi-label", blank="negative").load()
    assert loaded.labels == ["Edema", "Mass"]
    assert len({unit for rows in loaded.splits.values() for unit in rows["unit"]}) == 8
    assert not any("left out: 1 .csv" in note or "nested folders" in note for note in loaded.notes)


def test_scans_in_a_column_of_bytes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4000, (24, 9, 8)).astype(np.uint16)
    rows = [
        {"image": dicom(one, PatientID=f"P{number // 3}"), "label": ("normal", "sick")[number // 3 % 2]}
        for number, one in enumerate(pixels)
    ]
    Dataset.from_list(rows).to_parquet(str(tmp_path / "train.parquet"))
    for window in (None, "2000,1000"):
        task = MedicalImages(dataset=str(tmp_path), window=window, test_share=0.3, validation_share=0.3)
        loaded = task.load()
        assert len({unit for rows in loaded.splits.values() for unit in rows["unit"]}) == 8
        assert set(loaded["train"]["format"]) == {"DICOM"}


@pytest.mark.parametrize(
    ("path", "person"),
    [
        ("CheXpert-v1.0/train/patient00001/study1/view1.jpg", "patient00001"),
        ("files/p10/p10000032/s50414267/a.dcm", "p10000032"),
        ("sub-01/ses-02/anat.nii.gz", "sub-01"),
        ("C:\\data\\Subject_17\\a.png", "subject_17"),
        ("train/pneumonia/1.png", None),
        ("part1/a.png", None),
    ],
)
def test_the_innermost_folder_of_a_person_names_the_patient(path, person):
    assert find_person(path) == person


def test_without_patients_every_picture_stands_for_itself():
    task = MedicalImages()
    loaded = task.load()
    assert task.units(loaded["test"]) is None and loaded.labels == ["normal", "pneumonia"]
    assert task.flip == "none"


# Scans


def test_slices_of_a_volume_become_rows_of_one_unit(tmp_path):
    random = np.random.default_rng(0)
    lines = ["file,label"]
    for number in range(8):
        values = random.integers(0, 100, (6, 7, 4)).astype(np.int16)
        (tmp_path / f"{number}.nii.gz").write_bytes(nifti(values, packed=True))
        lines.append(f"{number}.nii.gz,{'sick' if number % 2 else 'normal'}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    flags = {"dataset": str(tmp_path / "rows.csv"), "test_share": 0.3, "validation_share": 0.3}
    middle = MedicalImages(**flags).load()
    assert sum(len(rows) for rows in middle.splits.values()) == 8
    assert set(middle["train"]["frames"]) == {4}
    every = MedicalImages(**flags, slices="all", slice_axis="coronal").load()
    assert sum(len(rows) for rows in every.splits.values()) == 8 * 7
    assert any("files of several frames or slices are" in note for note in every.notes)
    people = [set(rows["unit"]) for rows in every.splits.values()]
    assert sum(map(len, people)) == 8 and not set.intersection(*people)
    train = every["train"]
    assert len(set(train["fingerprint"])) == len(train) and (train[0]["width"], train[0]["height"]) == (6, 4)


def test_bad_scans_are_named_by_their_row_or_skipped_and_counted(tmp_path):
    folder = Path(study(tmp_path, {"train": 4, "validation": 3, "test": 3}))
    pixels = np.zeros((4, 4), np.uint16)
    (folder / "train" / "002.dcm").write_bytes(dicom(pixels, PixelData=None))
    (folder / "train" / "005.dcm").write_bytes((folder / "train" / "005.dcm").read_bytes()[:-50])
    with pytest.raises(DataError, match=r"split 'train', row 2, column 'Path': image .*: a DICOM without pixels"):
        MedicalImages(dataset=str(folder), problem="multi-label").load()
    task = MedicalImages(dataset=str(folder), problem="multi-label", on_bad_row="skip")
    rows = task.load()
    assert task.rows.facts(rows.splits)["train"]["skipped"] == {
        "a DICOM without pixels, such as a report or a plan, is no picture": 1,
        "the file is damaged or cut off": 1,
    }


def test_a_window_is_part_of_what_a_picture_is(tmp_path):
    folder = study(tmp_path, {"train": 2, "validation": 2, "test": 2})
    own, other = (
        MedicalImages(dataset=folder, problem="multi-label", window=window).load()["train"] for window in (None, "bone")
    )
    assert not set(own["fingerprint"]) & set(other["fingerprint"])
    assert set(other["how"]) == {"through the window given"}
    with pytest.raises(UserError, match="a centre and a width"):
        MedicalImages(window="nothing")


# Grey


def test_the_plan_says_how_grey_is_read(tmp_path):
    checkpoint = tiny.resnet(tmp_path / "checkpoint")
    asked = ("plan", "--task", "medical-images", "--checkpoint", checkpoint, "--json")
    plain, summed = (json.loads(hfkit(*asked, "--grey", grey).stdout) for grey in ("repeat", "sum"))
    assert plain["inputs"] == "Grey: repeated in every channel that the checkpoint reads (--grey repeat)."
    assert summed["inputs"].startswith("Grey: one channel, with the first convolution's weights summed")
    counts = [document["stages"][-1]["trainable"] for document in (plain, summed)]
    assert counts[1] < counts[0]
    assert "Grey: repeated" in hfkit("plan", "--task", "medical-images", "--checkpoint", checkpoint).stdout


def test_a_checkpoint_of_one_channel_stays_as_it_is(tmp_path):
    grey = tiny.resnet(tmp_path / "grey", channels=1)
    task = MedicalImages(grey="sum")
    codec = task.codec(grey, task.guess_target(2))
    assert not codec.sums and codec.model().config.num_channels == 1
    timm = tiny.timm_resnet(tmp_path / "timm")
    with pytest.raises(UserError, match="grey=sum"):
        task.codec(timm, task.guess_target(2)).model()
