"""`hfkit predict`: a line for every row, in order, whatever the rows are kept in; nothing lost without a word."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict
from PIL import Image

from hfkit.contract.rows import Only
from hfkit.data.streams import Reading
from hfkit.inference.asking import Asking
from hfkit.runtime.locks import hold_file
from hfkit.runtime.part_file import PartFile
from hfkit.tasks import NER as NamedEntities
from tests.fixtures.commands import hfkit
from tests.fixtures.examples import examples_of
from tests.fixtures.workbooks import write_xlsx

ROOT = Path(__file__).parents[2]
SENTIMENT, NER, IMAGES = "runs/bert-sentiment", "runs/bert-ner", "runs/vit-images"
TEXTS = ["anna likes rain.", "boris left the sea.", "Élena saw 雪 — “neige” 🙂", 'a "quoted", text', "x" * 3000]


def read_rows(ended) -> list[dict]:
    assert ended.exit_code == 0, ended.output
    return [json.loads(line) for line in ended.stdout.splitlines()]


def read_refusal(ended) -> str:
    """The one line on stderr, and nothing of a prediction."""
    assert ended.exit_code == 2, ended.output
    assert ended.stdout == ""
    return ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("argv", examples_of("predict"), ids=" ".join)
def test_the_examples_of_the_help_do_what_they_say(argv, finished_runs):
    ended = hfkit(*argv)
    assert ended.exit_code == 0, ended.output
    output = argv[argv.index("--output") + 1] if "--output" in argv else None
    text = Path(output).read_text() if output else ended.stdout
    if output == "answers.csv":
        rows = list(csv.DictReader(io.StringIO(text)))
    else:
        rows = list(map(json.loads, text.splitlines()))
    assert rows and all("prediction" in row for row in rows)
    if "reviews.csv" in argv:
        assert [row["text"] for row in rows] == [row["text"] for row in csv.DictReader(open("reviews.csv"))]
    if "pictures" in argv:
        assert [row["image"] for row in rows] == [*(f"pictures/{i}.png" for i in range(6)), "picture.png"]
    assert not list(Path().glob("*.part*"))


def write_texts(kind: str, path: Path) -> None:
    rows = [{"id": i, "text": text} for i, text in enumerate(TEXTS)]
    if kind in ("csv", "tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["id", "text"], delimiter="," if kind == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "json":
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    elif kind == "txt":
        path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8-sig")
    elif kind == "xlsx":
        write_xlsx(path, {"Sheet1": [["id", "text"], *map(list, map(dict.values, rows))]})
    else:
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_the_same_texts_in_any_file_get_the_same_answers(finished_runs):
    alone = [read_rows(hfkit("predict", SENTIMENT, "--text", text))[0] for text in TEXTS[:2]]
    wanted = None
    for kind in ("csv", "tsv", "jsonl", "ndjson", "json", "parquet", "xlsx", "txt"):
        write_texts(kind, path := Path(f"some.{kind}"))
        rows = read_rows(hfkit("predict", SENTIMENT, str(path)))
        assert [row["text"] for row in rows] == TEXTS
        answers = [(row["prediction"], row["probability"]) for row in rows]
        wanted = wanted or answers
        assert answers == wanted
        if kind != "txt":
            assert [int(row["id"]) for row in rows] == list(range(len(TEXTS)))
    assert [(one["prediction"], pytest.approx(one["probability"])) for one in alone] == wanted[:2]
    piped = read_rows(hfkit("predict", SENTIMENT, "-", given="\n".join(TEXTS) + "\n"))
    assert [(row["prediction"], row["probability"]) for row in piped] == wanted
    # Several inputs are one stream, in the order given; the size of a batch decides nothing that can be seen.
    both = read_rows(hfkit("predict", SENTIMENT, "some.csv", "some.txt", "--batch_size", "1"))
    assert [row["text"] for row in both] == TEXTS * 2
    assert [row["prediction"] for row in both] == [one for one, _ in wanted] * 2
    assert [row["probability"] for row in both] == pytest.approx([one for _, one in wanted] * 2)


def test_entities_of_words_and_of_texts(finished_runs):
    words = read_rows(hfkit("predict", NER, "sentences.jsonl"))
    lines = [json.loads(line) for line in Path("sentences.jsonl").read_text().splitlines()]
    assert [row["tokens"] for row in words] == [line["tokens"] for line in lines]
    assert any(row["prediction"] for row in words)
    for row in words:
        assert set(row) == {"tokens", "prediction"}
        for entity in row["prediction"]:
            first, behind = entity["tokens"]
            assert " ".join(row["tokens"][first:behind]) == entity["text"]
    text = "\n".join(" ".join(line["tokens"]) for line in lines)
    texts = read_rows(hfkit("predict", NER, "-", given=text))
    assert [[(e["label"], e["text"], e["start"]) for e in row["prediction"]] for row in texts] == [
        [(e["label"], e["text"], e["start"]) for e in row["prediction"]] for row in words
    ]
    assert "gives no probabilities" in read_refusal(hfkit("predict", NER, "sentences.jsonl", "--probabilities"))


def test_spans_go_to_the_tools_and_come_back_as_a_dataset(finished_runs):
    texts = ["Élena,  anna saw\tparis…", "boris left 🙂 oslo", "rain"]
    Path("some.txt").write_text("\n".join(texts))
    entities = [row["prediction"] for row in read_rows(hfkit("predict", NER, "some.txt"))]
    assert any(entities)
    for kind in ("jsonl", "prodigy", "doccano"):
        Path("answers").mkdir(exist_ok=True)
        written = Path("answers/train.jsonl")
        assert hfkit("predict", NER, "some.txt", "--format", kind, "--output", str(written)).exit_code == 0
        task = NamedEntities(dataset=str(written))
        raw = task.rows.read(task.source, Only())
        rows, faults = task.rows.check("test", raw, None, finished=True)
        assert not faults and rows["text"][:] == texts
        assert [task.view.record(row["tags"], row) for row in rows] == entities
    message = read_refusal(hfkit("predict", SENTIMENT, "some.txt", "--format", "doccano"))
    assert "finds no spans" in message


def test_pictures_in_files_folders_tables_and_pipes(finished_runs):
    folder = read_rows(hfkit("predict", IMAGES, "pictures"))
    names = [f"pictures/{i}.png" for i in range(6)]
    assert [row["image"] for row in folder] == names
    wanted = [(row["prediction"], row["probability"]) for row in folder]
    for inputs, given in ((names, None), (["-"], "\n".join(names))):
        rows = read_rows(hfkit("predict", IMAGES, *inputs, given=given))
        assert [(row["prediction"], row["probability"]) for row in rows] == wanted
    Path("table").mkdir()
    shutil.copytree("pictures", "table/pictures")
    Path("table/rows.csv").write_text("file_name,who\n" + "".join(f"{name},me\n" for name in names))
    # The paths of a table begin at its folder; a folder with one file of rows beside pictures says which is meant.
    rows = read_rows(hfkit("predict", IMAGES, "table/rows.csv"))
    assert [(row["prediction"], row["probability"]) for row in rows] == wanted
    assert set(rows[0]) == {"file_name", "who", "prediction", "probability"}
    assert "1 files of rows" in read_refusal(hfkit("predict", IMAGES, "table"))
    pictures = [{"bytes": Path(name).read_bytes(), "path": None} for name in names]
    pq.write_table(pa.table({"image": pictures, "n": [0, 1, 2, 3, 4, 5]}), "embedded.parquet")
    rows = read_rows(hfkit("predict", IMAGES, "embedded.parquet", "--tta", "none"))
    assert [(row["prediction"], row["probability"]) for row in rows] == wanted
    assert [row["image"] for row in rows] == [None] * 6 and [row["n"] for row in rows] == [0, 1, 2, 3, 4, 5]
    Path("broken.png").write_bytes(b"nothing")
    assert "broken.png" in read_refusal(hfkit("predict", IMAGES, "picture.png", "broken.png"))
    rows = read_rows(hfkit("predict", IMAGES, "picture.png", "broken.png", "--on_bad_row", "skip"))
    assert rows[0]["prediction"] and rows[0]["error"] is None
    assert rows[1]["prediction"] is None and "cannot be read as an image" in rows[1]["error"]
    assert "reads images, not text" in read_refusal(hfkit("predict", IMAGES, "--text", "a cat"))


def test_paths_in_a_table_do_not_leave_its_folder(finished_runs):
    Path("table").mkdir()
    Path("table/rows.csv").write_text("image\n../picture.png\n")
    assert "lie in its own folder" in read_refusal(hfkit("predict", IMAGES, "table/rows.csv"))
    assert len(read_rows(hfkit("predict", IMAGES, "table/rows.csv", "--allow_outside_images"))) == 1


def test_a_row_at_fault_is_named_or_said_in_its_place(finished_runs):
    rows = [{"text": "anna left.", "n": 1}, {"n": 2}, {"text": 5, "more": [1]}, {"text": "oslo", "n": None}]
    Path("some.jsonl").write_text("\n".join(map(json.dumps, rows)))
    line = read_refusal(hfkit("predict", SENTIMENT, "some.jsonl"))
    assert "some.jsonl, row 1, column 'text': null: every row has a text" in line and "--on_bad_row skip" in line
    ended = hfkit("predict", SENTIMENT, "some.jsonl", "--on_bad_row", "skip", "--batch_size", "1")
    found = read_rows(ended)
    assert [row["error"] for row in found] == [
        None,
        "column 'text': null: every row has a text",
        "column 'text': 5: a text is a string",
        None,
    ]
    assert [row["prediction"] is None for row in found] == [False, True, True, False]
    assert [row["probability"] is None for row in found] == [False, True, True, False]
    assert [(row["text"], row["n"], row["more"]) for row in found] == [
        ("anna left.", 1, None),
        (None, 2, None),
        (5, None, [1]),
        ("oslo", None, None),
    ]
    assert "4 rows, 2 of them without a prediction" in ended.stderr
    Path("blank.txt").write_text("\n\n")
    assert [row["error"] for row in read_rows(hfkit("predict", SENTIMENT, "blank.txt", "--on_bad_row", "skip"))] == [
        "column 'text': '': every row has a text"
    ] * 2


def test_the_number_of_a_row_at_fault_is_that_in_its_file(finished_runs):
    Path("long.txt").write_text("anna left.\n" * 50 + "\n" + "boris left.\n" * 3)
    ended = hfkit("predict", SENTIMENT, "reviews.csv", "long.txt", "--batch_size", "1")
    assert ended.exit_code == 2 and len(ended.stdout.splitlines()) == 24 + 48  # whole chunks before it
    assert "long.txt, row 50, column 'text': ''" in ended.stderr.splitlines()[-1]


def test_half_a_character_and_what_is_no_number_come_out_as_json(finished_runs):
    Path("some.jsonl").write_text('{"text": "anna \\ud83d", "n": NaN}\n{"text": "oslo", "n": 1e999}\n')
    rows = read_rows(hfkit("predict", SENTIMENT, "some.jsonl"))
    assert [row["text"] for row in rows] == ["anna ?", "oslo"]
    assert [row["n"] for row in rows] == ["nan", "inf"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("some.txt", b"\xc3\xa9t\xc3\xa9\ncaf\xe9\n", "UTF-8 but for byte 9 .0xe9. in line 2"),
        ("some.csv", "text\nşarkı\n".encode("cp1254"), "Windows-1254 .'şarkı'. or Windows-1252"),
        ("some.csv", b"", "the first line of some.csv is missing"),
        ("some.csv", b"text,text\na,b\n", "it names every column once"),
        ("some.xlsx", b"text", "it cannot be read as a workbook"),
        ("some.csv", b"text,n\na\n", "row 0.*every row has the 2 columns"),
        ("some.csv", b'text,n\n"a,1\n', "it cannot be read as CSV"),
        ("some.csv", b"lines,n\na,1\n", "columns lines, n.*--text_column"),
        ("some.csv", b"text,prediction\na,1\n", "column 'prediction'.*Rename the column"),
        ("some.jsonl", b'{"text": "a"}\n{"text": \n', "row 1.*it is no JSON"),
        ("some.jsonl", b'{"text": "a"}\n"b"\n', "every row is an object"),
        ("some.jsonl", b"[1, 2]", "every row is an object"),
        ("some.parquet", b"PAR1", "cannot be read as parquet"),
        ("some.md", b"text", "a file is one of .csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_before_a_word_is_written(name, content, message, finished_runs):
    Path(name).write_bytes(content)
    ended = hfkit("predict", SENTIMENT, "reviews.csv", name, "--output", "out.jsonl")
    assert ended.exit_code == 2
    assert re.search(message, ended.stderr), ended.stderr
    assert not Path("out.jsonl").exists()


def test_another_encoding_is_found_and_another_one_read_when_it_is_named(finished_runs):
    Path("some.txt").write_bytes("café\n".encode("latin-1"))
    found = hfkit("predict", SENTIMENT, "some.txt")
    assert read_rows(found)[0]["text"] == "café" and found.stderr.count("some.txt: Windows-1252") == 1
    assert read_rows(hfkit("predict", SENTIMENT, "some.txt", "--encoding", "cp850"))[0]["text"] == "cafÚ"
    piped = hfkit("predict", SENTIMENT, "-", given="café\n".encode("latin-1"))
    assert "the standard input: it is not utf-8" in read_refusal(piped)


def test_flags_of_the_task_may_stand_anywhere_among_the_inputs(finished_runs):
    Path("said.csv").write_text("said,n\nanna left.,1\nboris likes rain.,2\n")
    wanted = [row["prediction"] for row in read_rows(hfkit("predict", SENTIMENT, "said.csv", "--text_column", "said"))]
    for argv in (["--text_column", "said", "said.csv"], ["--text_column=said", "said.csv", "--max_length", "32"]):
        assert [row["prediction"] for row in read_rows(hfkit("predict", SENTIMENT, *argv))] == wanted
    # A flag of a truth value takes no input for its value.
    Path("table").mkdir()
    Path("table/rows.csv").write_text("image\n../picture.png\n")
    for argv in (["--allow_outside_images", "table/rows.csv"], ["--allow_outside_images", "true", "table/rows.csv"]):
        assert len(read_rows(hfkit("predict", IMAGES, *argv))) == 1
    assert "own folder" in read_refusal(hfkit("predict", IMAGES, "--allow_outside_images=false", "table/rows.csv"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "inputs: there is none"),
        (["nowhere.csv"], "there is no such file or folder"),
        (["runs"], "it holds one file of rows"),
        (["-", "-"], "the standard input is read once"),
        (["reviews.csv", "--output", "./reviews.csv"], "it is an input too"),
        (["reviews.csv", "--output", "reviews.csv/out.jsonl"], "it cannot be written"),
        (["reviews.csv", "--tokens_column", "text"], "--tokens_column: no such flag"),
        (["--text_colum", "text", "reviews.csv"], "Did you mean --text_column?"),
        (["reviews.csv", "--ouput", "out.jsonl"], "Did you mean --output?"),
        (["reviews.csv", "--dataset", "reviews"], "--dataset: no such flag"),
        (["reviews.csv", "-x"], "-x: no such flag"),
        (["reviews.csv", "--max_length", "9999"], "max_length 9999"),
        (["reviews.csv", "--encoding", "utf-99"], "there is none of this name"),
        (["reviews.csv", "--task", "ner"], "was made for text-classification"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_to_do(argv, message, finished_runs):
    assert message in read_refusal(hfkit("predict", SENTIMENT, *argv))


def test_an_empty_file_has_no_answers(finished_runs):
    Path("empty.jsonl").touch()
    ended = hfkit("predict", SENTIMENT, "empty.jsonl", "--output", "out.jsonl")
    assert ended.exit_code == 0 and "0 rows" in ended.stderr
    assert Path("out.jsonl").read_bytes() == b""


def test_a_csv_of_lists_holds_json_and_of_other_columns_is_refused(finished_runs):
    assert hfkit("predict", NER, "sentences.jsonl", "--output", "out.csv").exit_code == 0
    rows = list(csv.DictReader(open("out.csv", encoding="utf-8")))
    wanted = read_rows(hfkit("predict", NER, "sentences.jsonl"))
    assert [{key: json.loads(value) for key, value in row.items()} for row in rows] == wanted
    Path("other.jsonl").write_text('{"text": "anna", "more": 1}\n')
    ended = hfkit("predict", SENTIMENT, "reviews.csv", "other.jsonl", "--format", "csv")
    assert ended.exit_code == 2 and "in a CSV file all rows have the same" in ended.stderr


class Counted:
    """`Asking.answers` that counts its calls, and is interrupted as by Ctrl+C after some."""

    def __init__(self, monkeypatch, after: int) -> None:
        self.after, self.asked, self.answers = after, 0, Asking.answers
        monkeypatch.setattr(Asking, "answers", lambda asking, *given: self(asking, *given))

    def __call__(self, asking, *given):
        if self.asked == self.after:
            raise KeyboardInterrupt
        self.asked += 1
        return self.answers(asking, *given)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_command_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(kind, finished_runs, monkeypatch):
    Path("many.txt").write_text("".join(f"anna saw {i}\n" for i in range(100)))
    argv = ["predict", SENTIMENT, "reviews.csv", "many.txt", "--batch_size", "1", "--on_bad_row", "skip"]
    argv += ["--format", kind]
    assert hfkit(*argv, "--output", "whole").exit_code == 0
    with monkeypatch.context() as patch:
        Counted(patch, after=3)
        ended = hfkit(*argv, "--output", "out")
    assert ended.exit_code == 75 and not Path("out").exists()
    # A piece that was under way when the machine went down does not count.
    with Path("out.part").open("ab") as file:
        file.write(b'{"text": "half')
    with monkeypatch.context() as patch:
        counted = Counted(patch, after=-1)
        ended = hfkit(*argv, "--output", "out")
    assert ended.exit_code == 0, ended.output
    assert "going on behind them" in ended.stderr
    assert counted.asked == 9 - 3  # chunks of 16 rows: two of 24 rows, and seven of 100
    assert Path("out").read_bytes() == Path("whole").read_bytes()
    assert not list(Path().glob("out.part*"))


def test_a_second_command_with_the_same_output_is_refused(finished_runs):
    argv = ["predict", SENTIMENT, "reviews.csv", "--output", "out"]
    with hold_file(Path("out"), "the first one's"):
        ended = hfkit(*argv)
    assert ended.exit_code == 2
    assert f"output 'out': it is in use by process {os.getpid()} on " in ended.stderr
    assert not list(Path().glob("out*"))
    assert hfkit(*argv).exit_code == 0 and not Path(".out.lock").exists()


def test_a_part_of_other_work_is_begun_anew(finished_runs, monkeypatch):
    Path("many.txt").write_text("".join(f"anna saw {i}\n" for i in range(40)))
    argv = ["predict", SENTIMENT, "many.txt", "--output", "out", "--batch_size", "1"]
    with monkeypatch.context() as patch:
        Counted(patch, after=1)
        assert hfkit(*argv).exit_code == 75
    Path("many.txt").write_text("boris left.\n" * 40)
    ended = hfkit(*argv)
    assert ended.exit_code == 0 and "going on" not in ended.stderr
    assert {json.loads(line)["text"] for line in Path("out").read_text().splitlines()} == {"boris left."}


def test_a_part_file_counts_only_what_was_written_to_its_end(tmp_path):
    with pytest.raises(KeyboardInterrupt), PartFile(tmp_path / "out", "work") as part:
        part.add("a\n", 1, {"seen": 1})
        part.file.write(b"b")
        raise KeyboardInterrupt
    assert not (tmp_path / "out").exists()
    with PartFile(tmp_path / "out", "work") as part:
        assert (part.rows, part.notes) == (1, {"seen": 1})
        part.add("c\n", 1, {})
    assert (tmp_path / "out").read_text() == "a\nc\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_large_file_is_read_a_piece_at_a_time(tmp_path):
    """Nothing is read ahead of the chunk that is asked for."""
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(5000)) + "{broken")
    reading = Reading("text", frozenset(), "utf-8", 100)
    (source,) = reading.sources([str(path)])
    chunks = reading.chunks(source)
    first, second = next(chunks), next(chunks)
    assert (first.first, second.first, len(second.rows), second.records[0]) == (0, 100, 100, {"text": "row 100"})
    table = tmp_path / "many.parquet"
    pq.write_table(pa.table({"text": [f"row {i}" for i in range(5000)]}), table, row_group_size=1000)
    (source,) = reading.sources([str(table)])
    assert [chunk.first for chunk in reading.chunks(source)] == list(range(0, 5000, 100))


def test_a_column_that_only_some_rows_have_stays_one(tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_text('{"text": "a"}\n{"id": 1}\n')
    reading = Reading("text", frozenset(), "utf-8", 1)
    (source,) = reading.sources([str(path)])
    assert [chunk.rows.column_names for chunk in reading.chunks(source)] == [["text"], ["text", "id"]]


@pytest.mark.slow
def test_the_program_itself_writes_rows_and_nothing_else(finished_runs):
    """From a cached Hub id, with a reader that leaves early: what no runner in this process can show."""
    cache = Path("cache")
    snapshot = cache / "models--somebody--reviews" / "snapshots" / ("0" * 40)
    shutil.copytree(SENTIMENT, snapshot, ignore=shutil.ignore_patterns("checkpoint-*"))
    (cache / "models--somebody--reviews" / "refs").mkdir()
    (cache / "models--somebody--reviews" / "refs" / "main").write_text("0" * 40)
    lines = "".join(f"anna saw {i}\n" for i in range(4000))
    program = [sys.executable, "-m", "hfkit.cli", "predict", "somebody/reviews", "-"]
    environment = {**os.environ, "HF_HUB_CACHE": str(cache.absolute()), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(program, stdin=-1, stdout=-1, stderr=-1, env=environment, text=True) as running:
        Path("lines").write_text(lines)
        feeding = subprocess.Popen(["cat", "lines"], stdout=running.stdin)
        running.stdin.close()
        first = [json.loads(running.stdout.readline()) for _ in range(3)]
        running.stdout.close()
        told = running.stderr.read()
        feeding.wait(60)
        assert running.wait(60) == 0, told
    assert [row["text"] for row in first] == ["anna saw 0", "anna saw 1", "anna saw 2"]
    assert "Traceback" not in told


def test_a_table_that_datasets_wrote_keeps_its_columns(finished_runs):
    rows = Dataset.from_dict({"text": ["anna likes rain."], "label": [1]})
    DatasetDict(test=rows)["test"].to_parquet("some.parquet")
    (row,) = read_rows(hfkit("predict", SENTIMENT, "some.parquet"))
    assert row["label"] == 1 and row["text"] == "anna likes rain."


def test_pictures_of_what_answers_rest_on_are_written_beside_the_answers(finished_runs):
    one_by_one = ("predict", IMAGES, "pictures", "--batch_size", "1")  # in chunks of four
    rows = read_rows(hfkit(*one_by_one, "--explain", "looked", "--explain_most", "5"))
    assert len(rows) == 6
    files = [row["explanation"] for row in rows]
    assert files == [*(f"looked/explained-{number:06}.png" for number in range(5)), None]
    plain = read_rows(hfkit(*one_by_one))
    assert [row | {"explanation": None} for row in plain] == [row | {"explanation": None} for row in rows]
    for row, file in zip(rows[:5], files[:5], strict=True):
        with Image.open(row["image"]) as given, Image.open(file) as drawn:
            assert drawn.size[0] * given.size[1] == drawn.size[1] * given.size[0]
    assert hfkit(*one_by_one, "--explain", "again", "--output", "answers.jsonl").exit_code == 0
    for file in files[:5]:  # of other batches, and so with other rounding
        with Image.open(file) as one, Image.open(file.replace("looked", "again")) as other:
            assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 2


def test_what_cannot_be_explained_is_refused_before_a_row_is_read(finished_runs):
    assert "no map" in read_refusal(hfkit("predict", SENTIMENT, "reviews.csv", "--explain", "looked"))
    assert "lies in the input" in read_refusal(hfkit("predict", IMAGES, "pictures", "--explain", "pictures/looked"))
    assert "no folder" in read_refusal(hfkit("predict", IMAGES, "pictures", "--explain", "picture.png"))
    assert not Path("looked").exists() and not Path("pictures/looked").exists()
