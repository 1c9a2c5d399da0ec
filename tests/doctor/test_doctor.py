"""The doctor tells of each kind of trouble where it is, and is silent where it is not."""

import csv
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from PIL import Image
from rich.console import Console
from transformers import AutoModel

from hfkit import TransferArguments
from hfkit.contract.codec import Codec
from hfkit.contract.target import Labels
from hfkit.contract.task import Task
from hfkit.doctor import machine, model, packages, places
from hfkit.doctor.answers import fold_label, size_findings
from hfkit.doctor.checkup import examine_rows
from hfkit.doctor.findings import SCHEMA, SEVERITIES, Checkup, Finding, quote
from hfkit.doctor.repeats import FEWEST
from hfkit.doctor.rows import read_rows
from hfkit.tasks import NER, ImageClassification, LanguageModelling, TextClassification
from tests.fixtures.commands import hfkit
from tests.fixtures.examples import examples_of
from tests.tiny import images as tiny_images
from tests.tiny import text as tiny

ROOT = Path(__file__).parents[2]
GIB = 2**30


# The data

WORDS = [*tiny.PEOPLE, *tiny.PLACES, *tiny.VERBS, *tiny.NOUNS]


def text(number: int) -> str:
    """A text of five words, another one for every number."""
    return " ".join(WORDS[number // len(WORDS) ** place % len(WORDS)] for place in range(5))


def clean_texts() -> dict[str, list[dict]]:
    """Three splits without any trouble, of two classes."""
    sizes, found, number = {"train": 40, "validation": 200, "test": 200}, {}, 0
    for split, size in sizes.items():
        found[split] = [{"text": text(number + i), "label": ("good", "bad")[i % 2]} for i in range(size)]
        number += size
    return found


def texts(change: Callable[[dict[str, list[dict]]], object] = lambda splits: None, **flags) -> Callable[[Path], Task]:
    """Texts as .csv files, after a change of the clean ones."""

    def build(folder: Path) -> Task:
        splits = clean_texts()
        change(splits)
        for split, rows in splits.items():
            with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        return TextClassification(dataset=str(folder), **flags)

    return build


def with_rows(split: str, **columns: str) -> Callable[[dict], None]:
    """Changes the third row of a split."""
    return lambda splits: splits[split][2].update(columns)


def repeated(split: str, of: str, count: int, change: Callable[[str], str] = str) -> Callable[[dict], None]:
    """The last rows of a split hold the texts, and the labels, of the first ones of another."""

    def act(splits: dict) -> None:
        for i in range(count):
            splits[split][-1 - i] |= splits[of][i] | {"text": change(splits[of][i]["text"])}

    return act


def relabelled(splits: dict) -> None:
    splits["train"][1]["text"] = splits["train"][0]["text"].upper()


def with_patients(first: Callable[[str, int], str]) -> Callable[[dict], None]:
    def act(splits: dict) -> None:
        for split, rows in splits.items():
            for i, row in enumerate(rows):
                row["patient"] = first(split, i)

    return act


def rare_class(splits: dict) -> None:
    for split in ("train", "validation", "test"):
        splits[split][0]["label"] = "rare"


def lopsided(splits: dict) -> None:
    for row in splits["train"][: -FEWEST - 2 :]:
        row["label"] = "good"
    for i in range(60):
        splits["train"].append({"text": text(90_000 + i), "label": "good"})


def only_good(splits: dict) -> None:
    for row in splits["test"]:
        row["label"] = "good"


def two_spellings(splits: dict) -> None:
    for split in splits:
        for row in splits[split][:20]:
            row["label"] = row["label"].capitalize()


def long_texts(share: float) -> Callable[[dict], None]:
    def act(splits: dict) -> None:
        for rows in splits.values():
            for i in range(round(share * len(rows))):
                rows[i]["text"] = f"{text(10_000 + i)} {rows[i]['text']} " * 3

    return act


def foreign(splits: dict) -> None:
    for rows in splits.values():
        for i, row in enumerate(rows):
            row["text"] += f" 早上好 {i}"


def parquet_with_empty_class(folder: Path) -> Task:
    names = ClassLabel(names=["bad", "good", "ugly"])
    splits = DatasetDict(
        {
            split: Dataset.from_list(rows, features=Features({"text": Value("string"), "label": names}))
            for split, rows in clean_texts().items()
        }
    )
    return TextClassification(dataset=tiny.folder_of(splits, folder))


def parquet_of_two_types(folder: Path) -> Task:
    for split, rows in clean_texts().items():
        numbered = [{**row, "label": int(row["label"] == "good")} for row in rows]
        kind = Value("string" if split == "test" else "int64")
        written = [{**row, "label": str(row["label"])} for row in numbered] if split == "test" else numbered
        features = Features({"text": Value("string"), "label": kind})
        Dataset.from_list(written, features=features).to_parquet(str(folder / f"{split}.parquet"))
    return TextClassification(dataset=str(folder))


def numbers(splits: dict) -> None:
    for rows in splits.values():
        for i, row in enumerate(rows):
            row["label"] = str(i / 4)


def sentences(change: Callable[[dict[str, list[dict]]], object] = lambda splits: None) -> Callable[[Path], Task]:
    """Sentences with tags as JSON lines, after a change of clean ones."""

    def build(folder: Path) -> Task:
        splits, number = {}, 0
        for split, size in {"train": 40, "validation": 20, "test": 20}.items():
            tags = ["B-PER", "O", "B-LOC", "I-LOC", "O"]
            splits[split] = [{"tokens": text(number + i).split()[:5], "tags": list(tags)} for i in range(size)]
            for row in splits[split]:
                row["tokens"] = (row["tokens"] + ["."] * 5)[:5]
            number += size
        change(splits)
        for split, rows in splits.items():
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return NER(dataset=str(folder))

    return build


def orphan(splits: dict) -> None:
    splits["test"][3]["tags"] = ["I-PER", "O", "B-LOC", "I-LOC", "O"]


def spans(splits: dict) -> None:
    """The sentences as texts with spans of characters, one of which ends in a blank."""
    for rows in splits.values():
        for row in rows:
            first, *_, last = row["tokens"]
            whole = " ".join(row["tokens"])
            places = [[0, len(first), "PER"], [len(whole) - len(last), len(whole), "LOC"]]
            row |= {"text": whole, "spans": places, "tokens": None, "tags": None}
    splits["test"][3]["spans"][0][1] += 1


def iob1(splits: dict) -> None:
    for rows in splits.values():
        for row in rows:
            row["tags"] = ["I-PER", "O", "I-LOC", "I-LOC", "O"]


def many_bad_sentences(splits: dict) -> None:
    splits["train"][4]["tags"] = ["O"]
    splits["train"][5]["tags"] = ["O", "O"]
    splits["train"][6]["tags"] = ["PER", "O", "O", "O", "O"]
    splits["test"][7]["tags"] = ["B-ORG", "O", "O", "O", "O"]


def nameless(splits: dict) -> None:
    for row in splits["validation"]:
        row["tags"] = ["B-PER", "O", "O", "O", "O"]


def pictures(change: Callable[[Path], object] = lambda folder: None) -> Callable[[Path], Task]:
    """Class folders of pictures, after a change of clean ones."""

    def build(folder: Path) -> Task:
        tiny_images.image_folder(folder, train=12)
        change(folder)
        return ImageClassification(dataset=str(folder))

    return build


def picture(size: tuple[int, int] = (40, 36), mode: str = "RGB", place: str = "train/red/0.png", **save):
    def act(folder: Path) -> None:
        made = tiny_images.picture("red", 77, size).convert(mode)
        made.save(folder / place, **save)

    return act


def spoilt(folder: Path) -> None:
    (folder / "train/red/0.png").write_bytes(b"no picture")
    (folder / "test/blue/1.png").write_bytes((folder / "test/blue/1.png").read_bytes()[:80])


def same_file(folder: Path) -> None:
    (folder / "test/green/0.png").write_bytes((folder / "train/red/0.png").read_bytes())


def small_pictures(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        Image.open(path).resize((7, 7)).save(path)


def grey_reds(folder: Path) -> None:
    for path in folder.glob("*/red/*.png"):
        Image.open(path).convert("L").save(path)


def animated(folder: Path) -> None:
    frames = [tiny_images.picture("red", i) for i in range(3)]
    frames[0].save(folder / "train/red/film.gif", save_all=True, append_images=frames[1:])


def turned(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    tiny_images.picture("red", 5).save(folder / "train/red/turned.jpg", exif=exif)


CLEAN = {"texts": texts(), "sentences": sentences(), "pictures": pictures()}

# check -> (how it comes about, its severity, what it says in sentence, evidence or fix)
TROUBLE: dict[str, tuple[str, Callable[[Path], Task], str, list[str]]] = {
    "dataset": (
        "dataset",
        lambda folder: TextClassification(dataset=str(folder)),
        "error",
        ["no file of rows lies in it"],
    ),
    "types": ("types", parquet_of_two_types, "note", ["column 'label'", "test: string", "train: int64"]),
    "bad rows": (
        "bad-rows",
        texts(lambda splits: [with_rows("train", text=" ")(splits), with_rows("test", label="new")(splits)]),
        "error",
        ["train: 1 of 40 (2.5 %) rows", "every row has a text", "row 2, column 'text'"],
    ),
    "bad rows that are left out": (
        "bad-rows",
        texts(with_rows("train", text=" "), on_bad_row="skip"),
        "warning",
        ["are left out"],
    ),
    "a label that train does not know": (
        "bad-rows",
        texts(with_rows("test", label="new")),
        "error",
        ["test: 1 of 200", "its label 'new' does not occur in train", "row 2, column 'label'"],
    ),
    "nothing to learn": (
        "rows",
        texts(lambda splits: [row.update(label="good") for rows in splits.values() for row in rows]),
        "error",
        ["nothing to learn"],
    ),
    "no row left": (
        "rows",
        texts(lambda splits: [row.update(text="") for row in splits["validation"]]),
        "error",
        ["every row of a split is at fault"],
    ),
    "small splits": ("sizes", texts(lambda splits: splits["test"].__delitem__(slice(50))), "note", ["150 rows", "±8"]),
    "two spellings": ("labels-alike", texts(two_spellings), "warning", ["'Good' and 'good'", "a class of its own"]),
    "a class without rows": ("labels-empty", parquet_with_empty_class, "note", ["1 of 3 classes", "ugly"]),
    "a rare class": ("rare", texts(rare_class), "warning", ["1 of 3 classes", "rare (1 rows)"]),
    "one class for nearly all": ("lopsided", texts(lopsided), "warning", ["'good'", "--class_weights balanced"]),
    "a class that is not judged": ("unjudged", texts(only_good), "note", ["1 of 2 classes are not in test", "bad"]),
    "repeats in train": (
        "repeats-within",
        texts(repeated("train", "train", FEWEST)),
        "warning",
        [f"train: {FEWEST} of 40 (25.0 %)", "train row 30 = train row 9:"],
    ),
    "one repeat in test": ("repeats-within", texts(repeated("test", "test", 1)), "note", ["test: 1 of 200 (0.5 %)"]),
    "a repeat but for its writing": (
        "repeats-within",
        texts(repeated("test", "test", 1, lambda text: f"  {text.upper()}")),
        "note",
        ["1 with other case or white space"],
    ),
    "test rows in train": (
        "repeats-across",
        texts(repeated("test", "train", FEWEST)),
        "warning",
        [f"{FEWEST} of 200 (5.0 %) rows of test are in train too", "test row 190 = train row 9"],
    ),
    "what people say often": (
        "repeats-across",
        texts(
            lambda splits: [
                splits[split][i].update(text=f"thanks {i}", label="good")
                for split in ("train", "test")
                for i in range(FEWEST)
            ]
        ),
        "note",
        [f"{FEWEST} of up to 3 words"],
    ),
    "two answers": (
        "conflicts",
        texts(relabelled),
        "note",
        ["2 of 440", "train row 0 says 'good', train row 1 says 'bad'"],
    ),
    "a patient in two splits": (
        "units",
        texts(with_patients(lambda split, i: "anna" if i == 0 else f"{split} {i}"), unit_column="patient"),
        "warning",
        ["1 of 200 (0.5 %) units of test (column 'patient') are in train too", "such as of anna"],
    ),
    "a lost character": ("encoding", texts(with_rows("test", text="caf\ufffd noir")), "note", ["test row 2", "ufffd"]),
    "UTF-8 read as Latin-1": (
        "mojibake",
        texts(with_rows("test", text="un cafÃ© noir")),
        "note",
        ["'cafÃ©', probably 'café'"],
    ),
    "quotes of Windows": (
        "windows-1252",
        texts(with_rows("train", text="that\x92s it")),
        "note",
        [r"that\x92s it", "probably '’'", "--encoding cp1252"],
    ),
    "control characters": ("control", texts(with_rows("train", text="a\x07bell")), "note", [r"a\x07bell"]),
    "HTML": ("markup", texts(with_rows("train", text="fish &amp; chips")), "note", ["train row 2", "&amp;"]),
    "invisible characters": ("invisible", texts(with_rows("train", text="no\u200bthing")), "note", [r"\u200b"]),
    "a few long texts": ("lengths", texts(long_texts(0.03), max_length=16), "note", ["--max_length 32", "cut off"]),
    "many long texts": ("lengths", texts(long_texts(0.5), max_length=16), "warning", ["--max_length", "longest"]),
    "a length that cannot be": ("lengths", texts(max_length=9_000), "error", ["max_length 9000"]),
    "an unknown script": ("unknown-tokens", texts(foreign), "warning", ["unknown to the tokenizer"]),
    "all bad sentences": (
        "bad-rows",
        sentences(many_bad_sentences),
        "error",
        ["train: 2 of 40 (5.0 %) rows", "every word has one tag", "row 4, column 'tags': 5 words and 1 tags", "row 5"],
    ),
    "orphaned tags": ("tag-transitions", sentences(orphan), "warning", ["1 of 80", "IOB2", "test row 3"]),
    "a span with a blank": ("mended-spans", sentences(spans), "warning", ["1 of 80", "blanks at an end", "test row 3"]),
    "another scheme": ("tag-scheme", sentences(iob1), "note", ["IOB1", "80 of 80"]),
    "a type that is not judged": ("unjudged", sentences(nameless), "note", ["types of entities", "validation", "LOC"]),
    "sentences without words": (
        "empty-rows",
        sentences(lambda splits: splits["test"][0].update(tokens=[], tags=[])),
        "note",
        ["1 of 80", "test: 1"],
    ),
    "words without letters": (
        "empty-words",
        sentences(lambda splits: splits["test"][0]["tokens"].__setitem__(1, " ")),
        "note",
        ["test row 0"],
    ),
    "unreadable pictures": (
        "bad-rows",
        pictures(spoilt),
        "error",
        ["train: 1 of 36", "cannot be read as an image", "row 24, column 'image': image 'train/red/0.png'"],
    ),
    "a picture in two splits, under two names": (
        "repeats-across",
        pictures(same_file),
        "note",
        ["1 of 9 (11.1 %) rows of test are in train too", "test row 3 = train row 24: green/0.png (40 x 36 pixels)"],
    ),
    "a picture of two classes": ("conflicts", pictures(same_file), "note", ["says 'red'", "says 'green'"]),
    "tiny pictures": ("pixels", pictures(small_pictures), "warning", ["54 of 54", "the 32 pixels", "from 7 to 7"]),
    "a strip": ("shapes", pictures(picture((200, 20))), "note", ["1 of 54", "200 x 20 pixels"]),
    "a picture with a hole": ("modes", pictures(picture(mode="RGBA")), "note", ["RGBA: 1", "onto white"]),
    "colour that tells": ("grey-classes", pictures(grey_reds), "warning", ["1 classes are only grey", "grey: red"]),
    "a film": ("animated", pictures(animated), "note", ["1 of 55", "red/film.gif"]),
    "a turned camera": ("rotated", pictures(turned), "note", ["1 of 55", "turned.jpg"]),
}


@pytest.fixture(scope="module")
def codecs(checkpoint, tmp_path_factory) -> Callable[[Task], Codec]:
    """What the tiny models read with, for a task."""
    resnet = tiny_images.resnet(tmp_path_factory.mktemp("resnet"))

    def make(task: Task) -> Codec:
        start = resnet if isinstance(task, ImageClassification) else checkpoint
        return task.codec(start, task.guess_target(2))

    return make


def findings(task: Task, codecs: Callable[[Task], Codec], most_rows: int | None = None) -> list[Finding]:
    found, rows = read_rows(task, most_rows)
    return found + (examine_rows(rows, codecs(task))[0] if rows else [])


def everything(finding: Finding) -> str:
    return "\n".join([finding.what, *finding.evidence, finding.fix])


@pytest.fixture(scope="module")
def clean(codecs, tmp_path_factory) -> dict[type, list[Finding]]:
    """What is found of data without trouble, by task."""
    tasks = [build(tmp_path_factory.mktemp(name)) for name, build in CLEAN.items()]
    return {type(task): findings(task, codecs) for task in tasks}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_is_reported_where_it_is_and_nowhere_else(name, codecs, clean, tmp_path):
    check, build, severity, fragments = TROUBLE[name]
    task = build(tmp_path)
    found = [one for one in findings(task, codecs) if one.check == check and one.severity != "ok"]
    hits = [one for one in found if all(fragment in everything(one) for fragment in fragments)]
    assert [one.severity for one in hits] == [severity], found
    assert not [one for one in clean[type(task)] if one.check == check and one.severity != "ok"]


def test_clean_data_have_nothing_but_small_splits(clean):
    assert {one.severity for one in clean[TextClassification]} == {"ok"}
    for task in (NER, ImageClassification):
        assert {one.check for one in clean[task] if one.severity != "ok"} == {"sizes"}


def test_every_fault_is_reported_and_counted_by_rule(codecs, tmp_path):
    found = findings(sentences(many_bad_sentences)(tmp_path), codecs)
    told = [one.what for one in found if one.check == "bad-rows"]
    assert len(told) == 3
    assert "every word has one tag" in told[0] and "neither O nor a prefix" in told[1]
    assert "its type does not occur in train, which knows LOC, PER" in told[2]
    # What is left is looked at all the same.
    assert any(one.check == "balance" for one in found)


def test_rows_are_those_of_the_dataset_though_bad_ones_are_left_out(codecs, tmp_path):
    def change(splits: dict) -> None:
        splits["test"][0]["text"] = ""
        repeated("test", "train", 1)(splits)

    found = findings(texts(change)(tmp_path), codecs)
    (leak,) = (one for one in found if one.check == "repeats-across")
    assert leak.evidence[0].startswith("test row 199 = train row 0: ")


def test_many_rows_are_sampled_and_a_note_says_so(codecs, tmp_path):
    def change(splits: dict) -> None:
        splits["train"][17]["label"] = splits["test"][0]["label"] = "rare"

    found = findings(texts(change)(tmp_path), codecs, most_rows=5)
    (told,) = (one for one in found if one.check == "sampled")
    assert told.evidence[0] == "train: 7 of 40 rows" and "--most_rows" in told.fix
    # The only row of a class is among them: the class would seem unknown.
    assert not [one for one in found if one.severity == "error"]


def test_numbers_have_no_classes(codecs, tmp_path):
    found = findings(texts(numbers, problem="regression")(tmp_path), codecs)
    (balance,) = (one for one in found if one.check == "balance")
    assert "from 0 to 9.75" in balance.what


def test_a_unit_of_one_split_is_no_trouble(codecs, tmp_path):
    task = texts(with_patients(lambda split, i: f"{split} {i // 2}"), unit_column="patient")(tmp_path)
    (units,) = (one for one in findings(task, codecs) if one.check == "units")
    assert units.severity == "ok" and "train 20" in units.what


def test_the_rows_that_are_set_aside_are_checked_like_any_others(codecs, tmp_path):
    task = texts(with_patients(lambda split, i: f"{split} {i // 2}"), unit_column="patient")(tmp_path)
    (tmp_path / "validation.csv").unlink()
    (units,) = (one for one in findings(replace(task, validation_share=0.2), codecs) if one.check == "units")
    assert units.severity == "ok" and "train 16, validation 4" in units.what


# The environment


def versions(**there: str | None) -> Callable[[str], str | None]:
    return lambda name: there.get(name)


def test_packages_against_their_floors():
    requires = ["torch>=2.13", "numpy>=2", 'pillow>=11; extra == "vision"', 'pytest>=8; extra == "test"']
    there = versions(torch="2.15.0+cpu", numpy="2.4", pillow="13.0")
    assert [one.severity for one in packages.package_findings(requires, {"vision"}, there)] == ["ok"]
    (old,) = packages.package_findings(requires, set(), versions(torch="2.12.1", numpy="2.4"))
    assert (old.severity, old.fix) == ("error", 'Run: pip install "torch>=2.13"')
    (gone,) = packages.package_findings(requires, set(), versions(torch="2.15"))
    assert gone.severity == "error" and "numpy is not installed" in gone.what
    (extra,) = packages.package_findings(requires, {"vision"}, versions(torch="2.15", numpy="2.4"))
    assert (extra.severity, extra.fix) == ("warning", 'Run: pip install "hfkit[vision]"')


def test_python_against_its_floor():
    assert packages.python_finding("3.13.1", ">=3.11")[0].severity == "ok"
    assert packages.python_finding("3.10.4", ">=3.11")[0].severity == "error"


@pytest.mark.parametrize(
    "requires, vision, torch, severity",
    [
        (["torch==2.9.0"], "0.24.0", "2.9.0", "ok"),
        (["torch==2.9.0"], "0.24.0+cpu", "2.9.0+cpu", "ok"),
        (["torch==2.9.0"], "0.24.0", "2.9.0+cpu", "ok"),
        (["torch==2.9.0"], "0.24.0", "2.10.0", "error"),
        (["torch==2.9.0"], "0.24.0+cu126", "2.9.0+cpu", "error"),
    ],
)
def test_torchvision_beside_torch(requires, vision, torch, severity):
    (found,) = packages.vision_findings(requires, vision, torch)
    assert found.severity == severity


@pytest.mark.parametrize(
    "cores, threads, severity, fix",
    [(4, 4, "ok", ""), (4, 8, "warning", "OMP_NUM_THREADS=4"), (4, 1, "note", "OMP_NUM_THREADS=4")],
)
def test_threads_and_cores(cores, threads, severity, fix):
    found = machine.core_finding(8, cores, threads)
    assert found.severity == severity and fix in found.fix


GPU = {"name": "A GPU", "memory_gib": 80.0, "capability": "9.0"}


@pytest.mark.parametrize(
    "facts, use_cpu, processes, severities, fragment",
    [
        ({"gpus": [GPU]}, False, 1, ["ok"], "1 x A GPU, 80 GiB"),
        ({"gpus": [GPU, GPU]}, False, 2, ["ok"], "2 x A GPU"),
        ({"gpus": [GPU, GPU]}, False, 1, ["ok", "warning"], "one process sees 2 GPUs"),
        ({"gpus": [GPU]}, True, 1, ["note"], "--use_cpu"),
        ({}, False, 1, ["note"], "no GPU"),
        ({"mps": True}, False, 1, ["ok"], "MPS"),
        ({"driver": "570.1"}, False, 1, ["warning"], "built without CUDA"),
        ({"driver": "570.1", "cuda": "12.8"}, False, 1, ["warning"], "built for CUDA 12.8"),
    ],
)
def test_gpus(facts, use_cpu, processes, severities, fragment):
    facts = {"gpus": [], "cuda": None, "driver": None, "mps": False, **facts}
    found = machine.gpu_findings(facts, use_cpu=use_cpu, processes=processes)
    assert [one.severity for one in found] == severities
    assert fragment in found[-1].what


def test_the_driver_is_read_from_its_file(tmp_path):
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23\nGCC 12\n")
    assert machine.driver_version(tmp_path / "version") == "570.86.15"
    assert machine.driver_version(tmp_path / "none") is None


def test_memory_within_a_container(tmp_path):
    (tmp_path / "max").write_text(f"{GIB}\n")
    (tmp_path / "unlimited").write_text("max\n")
    total, free = machine.memory_of((tmp_path / "max", tmp_path / "none"))
    assert total == GIB and free <= GIB
    assert machine.memory_of((tmp_path / "unlimited",))[0] > GIB
    assert machine.memory_finding(10 * GIB, 5 * GIB).severity == "ok"
    assert machine.memory_finding(10 * GIB, GIB // 2).severity == "warning"


def test_processes_of_a_launcher(monkeypatch):
    of_torchrun = {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "0"}
    assert "4 processes" in machine.launcher_finding(of_torchrun).what
    assert machine.launcher_finding({}).what == "one process"
    # accelerate launch --cpu --num_processes 2: an address for several, and one process.
    for name, value in {"MASTER_PORT": "29500", "ACCELERATE_MIXED_PRECISION": "no"}.items():
        monkeypatch.setenv(name, value)
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    ended = hfkit("doctor", "--json")
    found = {one["check"]: one for one in json.loads(ended.stdout)["findings"]}
    assert ended.exit_code == 1
    assert found["processes"]["severity"] == "error" and "torchrun" in found["processes"]["fix"]


def test_folders(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert places.place_findings("output_dir", tmp_path / "new" / "run") == []
    assert not (tmp_path / "new").exists()
    (found,) = places.place_findings("output_dir", tmp_path / "file" / "run")
    assert found.severity == "error" and "a file in the way" in found.what
    assert places.disk_findings("output_dir", tmp_path, 5 * GIB) == []
    assert places.disk_findings("output_dir", tmp_path, GIB)[0].severity == "warning"
    assert places.disk_findings("output_dir", tmp_path, 1000)[0].severity == "error"


@pytest.mark.parametrize(
    "offline, token, pushes, severity",
    [
        (False, True, True, "ok"),
        (False, False, False, "ok"),
        (True, False, False, "note"),
        (True, True, True, "error"),
        (False, False, True, "error"),
    ],
)
def test_the_hub(offline, token, pushes, severity):
    found = places.hub_finding(endpoint="https://hub", offline=offline, token=token, pushes=pushes)
    assert found.severity == severity


def test_trackers():
    assert places.tracker_findings([]) == []
    assert places.tracker_findings(["none"]) == []
    (found,) = places.tracker_findings(["diary"])
    assert found.severity == "error" and "--report_to diary: it is one of azure_ml, " in found.what
    (found,) = places.tracker_findings(["neptune"])
    assert found.severity == "error" and found.fix == "Run: pip install neptune"
    (found,) = places.tracker_findings(["tensorboard"])
    assert found.severity == "ok"


def test_a_missing_tracker_is_a_finding_and_not_the_end_of_the_doctor():
    for name in ("neptune", "diary"):
        ended = hfkit("doctor", "--json", "--report_to", name)
        found = [one["what"] for one in json.loads(ended.stdout)["findings"] if one["check"] == "trackers"]
        assert ended.exit_code == 1 and [what.partition(":")[0] for what in found] == [f"--report_to {name}"]


def test_no_secret_is_printed(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_" + "s" * 32)
    for argv in ([], ["--json"]):
        ended = hfkit("doctor", *argv)
        assert "ssss" not in ended.output
    assert json.loads(ended.stdout)["facts"]["environment"]["hub"]["token"] is True
    token = "hf_" + "Ab1" * 11
    quoted = Checkup(
        findings=[Finding("data", "texts", "note", token, (f"row 0: {token}", quote("x" * 70 + " " + token)))]
    )
    console = Console(record=True, file=StringIO())
    quoted.show(console, strict=False)
    for text in (console.export_text(), json.dumps(quoted.document(strict=False))):
        assert "(withheld)" in text and "hf_Ab1" not in text
    assert places.drop_password("https://me:secret@hub.example/api") == "https://hub.example/api"


# The model


def checked_model(task: Task, checkpoint: str, folder: Path, **flags) -> dict[str, Finding]:
    from hfkit.arguments.recipe import RecipeArguments

    args = TransferArguments(output_dir=str(folder / "out"), use_cpu=True, **flags)
    found, _, _ = model.examine_model(task, RecipeArguments(checkpoint=checkpoint), args, Labels(("a", "b")))
    return {one.check: one for one in found}


def test_a_checkpoint_that_can_be_trained(checkpoint, tmp_path):
    found = checked_model(NER(), checkpoint, tmp_path)
    assert {one.severity for one in found.values()} == {"ok"}
    assert found["checkpoint"].what.endswith(": bert of 0.0 M parameters")
    assert found["depths"].what == "depths 0 to 5: embeddings, 4 blocks, head"
    assert not (tmp_path / "out").exists()


def copied(checkpoint: str, folder: Path, **config) -> Path:
    folder.mkdir()
    for file in Path(checkpoint).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    content = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def test_checkpoints_that_cannot_be_trained(checkpoint, tmp_path):
    huge = copied(checkpoint, tmp_path / "huge", hidden_size=65536, intermediate_size=262144, num_hidden_layers=20)
    assert checked_model(NER(), str(huge), tmp_path)["memory"].severity == "error"
    small = copied(checkpoint, tmp_path / "small", vocab_size=50)
    assert "its model knows 50 tokens" in checked_model(NER(), str(small), tmp_path)["processor"].what
    bare = copied(checkpoint, tmp_path / "bare")
    (bare / "model.safetensors").rename(bare / "pytorch_model.bin")
    found = checked_model(NER(), str(bare), tmp_path)["weights"]
    assert found.severity == "error" and "pytorch_model.bin': no tensors could be read" in found.what
    torch.save(AutoModel.from_pretrained(checkpoint).state_dict(), bare / "pytorch_model.bin")
    found = checked_model(NER(), str(bare), tmp_path)["weights"]
    assert found.severity == "ok" and "read without running code" in found.what
    (bare / "pytorch_model.bin").unlink()
    (bare / "tokenizer.json").unlink()
    found = checked_model(NER(), str(bare), tmp_path)
    assert found["weights"].severity == found["processor"].severity == "error"
    found = checked_model(ImageClassification(), checkpoint, tmp_path)
    assert "AutoModelForImageClassification cannot be made" in found["checkpoint"].what
    strange = copied(checkpoint, tmp_path / "strange", model_type="ernie")
    found = checked_model(TextClassification(), str(strange), tmp_path)["depths"]
    assert found.severity == "ok" and found.evidence[0].startswith("4 blocks found in ernie.encoder.layer.* and proven")


def test_memory_that_is_tight():
    def severity(total: float, free: float) -> str:
        return model.memory_finding(4 * GIB, round(total * GIB), round(free * GIB), "here", "full").severity

    cases = ((20, 18), (20, 3), (4.5, 4.4), (3, 2))
    assert [severity(*case) for case in cases] == ["ok", "warning", "warning", "error"]


def test_checkpoints_that_do_not_fit_on_the_disk(tmp_path):
    args = TransferArguments(output_dir=str(tmp_path), use_cpu=True)
    assert model.disk_findings(1000, args) == []
    (found,) = model.disk_findings(10**15, args)
    assert found.severity == "warning" and "--save_total_limit" in found.fix


# The command


KEYS = {"section", "check", "severity", "what", "evidence", "fix"}


@pytest.mark.parametrize("argv", examples_of("doctor"), ids=" ".join)
def test_an_example_of_the_help_is_a_command_that_works(argv, finished_runs):
    (finished_runs / "recipes").symlink_to(ROOT / "recipes")
    before = {path: path.stat().st_mtime_ns for path in finished_runs.rglob("*")}
    ended = hfkit(*argv)
    assert ended.exit_code == 0, ended.output
    assert {path: path.stat().st_mtime_ns for path in finished_runs.rglob("*")} == before  # nothing is written
    if "--json" in argv:
        json.loads(ended.stdout)
    else:
        assert ended.stdout.startswith("Environment\n")
        assert re.search(r"\n0 errors, \d+ warnings?, \d+ notes?\n$", ended.stdout)


def test_the_document_holds_what_its_description_says(checkpoint, corpus):
    argv = ["--task", "ner", "--dataset", corpus, "--checkpoint", checkpoint]
    ended = hfkit("doctor", *argv, "--json")
    document = json.loads(ended.stdout)
    assert document["schema"] == SCHEMA and document["task"] == "ner"
    assert (document["dataset"], document["checkpoint"]) == (corpus, checkpoint)
    keys = {"schema", "created", "hfkit", "task", "dataset", "checkpoint", "findings", "facts", "counts", "exit_code"}
    assert document.keys() == keys
    for one in document["findings"]:
        assert one.keys() == KEYS and one["severity"] in SEVERITIES
        assert isinstance(one["evidence"], list) and one["what"]
        assert one["fix"] or one["severity"] in ("ok", "note")
    sections = [one["section"] for one in document["findings"]]
    assert sections == sorted(sections, key=["environment", "data", "model"].index)
    counted = [one["severity"] for one in document["findings"]]
    assert document["counts"] == {severity: counted.count(severity) for severity in SEVERITIES}
    assert document["exit_code"] == ended.exit_code == 0
    assert document["facts"].keys() == {"environment", "data", "model"}
    assert document["facts"]["data"]["train"]["rows"] == 22
    assert document["facts"]["model"]["parameters"] > 0


@pytest.mark.parametrize("recipe", ["bert_ner", "bert_sentiment", "gpt2_classification", "resnet_images", "vit_images"])
def test_the_bundled_samples_have_no_error(recipe):
    ended = hfkit("doctor", "--recipe", str(ROOT / "recipes" / f"{recipe}.py"), "--json", "--most_rows", "400")
    document = json.loads(ended.stdout)
    assert ended.exit_code == document["counts"]["error"] == 0
    assert {one["section"] for one in document["findings"]} == {"environment", "data", "model"}


def test_errors_end_with_1_and_strictly_warnings_too(checkpoint, tmp_path):
    def ended(change: Callable[[dict], object], *argv: str):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        texts(change)(folder)
        argv = ("--task", "text-classification", "--dataset", str(folder), "--checkpoint", checkpoint, *argv)
        return hfkit("doctor", *argv)

    assert ended(with_rows("train", text="")).exit_code == 1
    assert ended(rare_class).exit_code == 0
    strictly = ended(rare_class, "--strict")
    assert strictly.exit_code == 1 and "warnings count as errors" in strictly.stdout
    assert ended(lambda splits: None, "--strict").exit_code == 0


@pytest.mark.parametrize(
    "argv, fragments",
    [
        (["--dataset", "x"], ["the task decides how they are read", "--recipe"]),
        (["--task", "ner", "--recipe", "recipes/bert_ner.py"], ["a recipe has its task"]),
        (["--task", "ner", "--dataset", "./nowhere"], ["there is no such file or folder"]),
        (["--task", "ner", "--checkpoint", "./nowhere"], ["folder with config.json"]),
        (["--recipe", "nowhere.py"], ["there is no such file"]),
        (["--task", "ner", "--strateg", "full"], ["Did you mean --strategy?"]),
        (["--stric"], ["Did you mean --strict?"]),
        (["--most_rows", "0"], ["--most_rows"]),
        (["--export", "labelstudio"], ["rows belong to a task", "--task or --recipe"]),
        (["--task", "ner", "--export_file", "x.json"], ["for which tool", "--export labelstudio"]),
        (["--task", "nre"], ["task 'nre': one of ner", "Did you mean ner?"]),
        (["--task", "token-classification"], ["it is the Hub's tag of ner and pos", "Name one of them"]),
    ],
)
def test_a_command_that_cannot_be_followed_ends_with_2(argv, fragments):
    ended = hfkit("doctor", *argv)
    assert ended.exit_code == 2 and ended.stdout == ""
    for fragment in fragments:
        assert fragment in ended.stderr


def test_nothing_is_cut_in_a_pipe(capsys):
    from rich.console import Console

    long = "a very long sentence " * 40
    checkup = Checkup(findings=[Finding("data", "schema", "warning", long, [f"{long}[red]?[/red]"], long)])
    checkup.show(Console(file=sys.stdout), strict=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines[1:4]] == [
        f"warning {long}".strip(),
        f"{long}[red]?[/red]",
        f"→ {long}".strip(),
    ]
    assert lines[-1] == "0 errors, 1 warning, 0 notes; with --strict warnings count as errors"


@pytest.mark.parametrize("other", ["GOOD day", "good  day", "good_day", "good-day", "go\u200bod day", "0good day"])
def test_labels_that_a_reader_takes_for_one_are_alike(other):
    assert fold_label(other) == fold_label("good day") != fold_label("good days")
    assert fold_label("01") == fold_label("1") != fold_label("0")


def test_a_score_that_is_no_share_is_not_known_to_so_many_points():
    task = LanguageModelling()
    found = size_findings(SimpleNamespace(task=task, splits=task.load().splits, sampled={}))
    assert [one.what for one in found] == [
        "validation has 80 rows: few to know a score by",
        "test has 100 rows: few to know a score by",
    ]
