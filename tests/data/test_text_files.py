"""Texts without a table around them: lines, marks of fastText, tabs, and folders of classes."""

import pytest

from hfkit.data.files import TEXT_TABLES, find_class_folders
from hfkit.data.text_files import find_class_texts, read_class_texts, read_texts
from hfkit.errors import DataError
from hfkit.tasks import TextClassification


def read(folder, content):
    (path := folder / "some.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_texts("train", [path])


def test_lines_are_texts(tmp_path, capsys):
    assert read(tmp_path, "a b\n\nc\td\te\nf").to_dict() == {"text": ["a b", "", "c\td\te", "f"]}
    assert read(tmp_path, "schön\r\n".encode("cp1252")).to_dict() == {"text": ["schön"]}
    assert "some.txt: a text a line, without labels" in capsys.readouterr().out
    with pytest.raises(DataError, match="no lines of text"):
        read(tmp_path, "\n \n")


def test_fasttext_marks_labels(tmp_path):
    assert read(tmp_path, "__label__a x y\n__label__b-c z\n").to_dict() == {
        "text": ["x y", "z"],
        "label": ["a", "b-c"],
    }
    several = read(tmp_path, "__label__a __label__b x\n__label__a y\n")
    assert several["label"][:] == [["a", "b"], ["a"]]


def test_one_tab_a_line_stands_between_text_and_label_in_either_order(tmp_path):
    lines = ["ham\tGo until the point", "spam\tFree entry in a comp", "ham\tNah I do not think so", "spam\tWin it now!"]
    rows = read(tmp_path, "\n".join(lines))
    assert rows.column_names == ["label", "text"] and rows["label"][:] == ["ham", "spam", "ham", "spam"]
    rows = read(tmp_path, 'text\tlabel\n"Quoted\tham\nso"\tspam\n')
    assert rows.to_dict() == {"text": ['"Quoted', 'so"'], "label": ["ham", "spam"]}
    with pytest.raises(DataError, match="on which side of it the label stands"):
        read(tmp_path, "one\ttwo\nthree\tfour\n")


def test_folders_of_classes_hold_texts(tmp_path, capsys):
    for split in ("train", "test"):
        for label in ("pos", "neg", "unsup"):
            (tmp_path / split / label).mkdir(parents=True)
            (tmp_path / split / label / "0.txt").write_bytes(f"{split} {label} é".encode())
            (tmp_path / split / label / "1.txt").write_bytes(f"{split} {label} “é”".encode("cp1252"))
            (tmp_path / split / label / "._1.txt").write_bytes(b"\0\5")
        (tmp_path / split / "urls.txt").write_text("no text")
    assert find_class_texts(tmp_path) == {"train": tmp_path / "train", "test": tmp_path / "test"}
    rows = read_class_texts("train", tmp_path / "train")
    assert rows[:2] == {
        "text": ["train neg é", "train neg “é”"],
        "label": ["neg", "neg"],
        "file": ["neg/0.txt", "neg/1.txt"],
    }
    told = capsys.readouterr().out
    assert (
        "folders of classes: neg 2, pos 2, unsup 2" in told
        and "train: leftovers of systems and tools are left out: 3 ._*" in told
    )
    loaded = TextClassification(dataset=str(tmp_path), validation_share=0.5).load()
    assert loaded.labels == ["neg", "pos", "unsup"] and len(loaded["test"]) == 6
    assert find_class_texts(tmp_path / "train" / "pos") == {}
    # A table says what the rows are; files of text may lie beside it.
    (tmp_path / "reviews.csv").write_text("text,label\n" + "one,a\ntwo,b\nthree,a\nfour,b\n" * 5)
    assert find_class_folders(tmp_path, TEXT_TABLES) == {}
