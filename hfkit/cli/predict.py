"""`hfkit predict`: what a saved model says of new rows, texts or pictures."""

import csv
import hashlib
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from hfkit.errors import ANEW, GOES_ON, UserError, run
from hfkit.progress import alone_on_stdout, progress
from hfkit.runtime.part_file import PartFile

if TYPE_CHECKING:
    from hfkit.data.streams import Chunk, Reading, Source
    from hfkit.inference.asking import Asking
    from hfkit.inference.saved import SavedModel

BATCHES = {"text": 16, "pictures": 4}  # of a chunk: texts are sorted by length within it, pictures are larger


class Format(StrEnum):
    """How predictions are written."""

    jsonl = "jsonl"
    csv = "csv"


class OnBadRow(StrEnum):
    """What becomes of a row that cannot be asked."""

    error = "error"
    skip = "skip"


def predict(
    model: Annotated[str, typer.Argument(help="output_dir of a run, any folder with a model, or a Hub id")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            help="files of rows (.csv .tsv .jsonl .json .parquet), of one text a line (.txt), pictures, folders of"
            " pictures or with one file of rows, or - for the lines of the standard input",
        ),
    ] = None,
    text: Annotated[list[str] | None, typer.Option("--text", help="a text to ask about; may be given again")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="file; default: standard output")] = None,
    format: Annotated[
        Format | None, typer.Option("--format", help="default: csv for an --output that ends so, else jsonl")
    ] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="add that of every label")] = False,
    batch_size: Annotated[int, typer.Option("--batch_size", min=1, help="rows that the model sees at once")] = 32,
    on_bad_row: Annotated[
        OnBadRow,
        typer.Option("--on_bad_row", help="stop at the first bad row, or write what is wrong with it in its place"),
    ] = OnBadRow.error,
    encoding: Annotated[str, typer.Option("--encoding", help="of files of text, such as latin-1")] = "utf-8",
    task: Annotated[str | None, typer.Option("--task", help="what the model does, where its files do not say")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="branch, tag or commit of a Hub id")] = None,
    text_column: Annotated[str | None, typer.Option("--text_column", help="column of texts")] = None,
    text_pair_column: Annotated[str | None, typer.Option("--text_pair_column", help="of second texts")] = None,
    tokens_column: Annotated[str | None, typer.Option("--tokens_column", help="of words, or texts to split")] = None,
    image_column: Annotated[str | None, typer.Option("--image_column", help="column of pictures")] = None,
    max_length: Annotated[int | None, typer.Option("--max_length", help="tokens read at once")] = None,
    stride: Annotated[int | None, typer.Option("--stride", help="tokens shared by two windows of words")] = None,
    tta: Annotated[str | None, typer.Option("--tta", help="views of a picture: none, flip or crops")] = None,
    max_megapixels: Annotated[float | None, typer.Option("--max_megapixels", help="of a picture")] = None,
    allow_outside_images: Annotated[
        bool, typer.Option("--allow_outside_images", help="follow paths out of the folder of the file that has them")
    ] = False,
) -> None:
    """Ask a saved model about new rows, texts or pictures: one line of JSON for each, in order.

    A row keeps its columns and gets `prediction`: a label, a list of labels, a number, or a list of entities with
    `label`, `text`, `start` and `end` (characters). Where the model tells, `probability` is that of its label. With
    --on_bad_row skip, `error` says why a row has no prediction. Files of any size are read a piece at a time (a .json
    that is one list is read at once). An --output appears when it is whole; stopped before, the same command goes on
    from FILE.part, unless rows come from the standard input.

        hfkit predict runs/bert-sentiment reviews.csv --output answers.csv
        hfkit predict runs/bert-sentiment --text "anna likes the sea" --probabilities
        hfkit predict runs/bert-ner sentences.jsonl --output entities.jsonl
        hfkit predict runs/vit-images pictures picture.png

    Exit codes: 0 every row has its line; 1 something failed; 2 the model or the input cannot be read, or a row cannot
    be asked; 75 interrupted.
    """
    settings = {
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "tokens_column": tokens_column,
        "image_column": image_column,
        "max_length": max_length,
        "stride": stride,
        "tta": tta,
        "max_megapixels": max_megapixels,
        "allow_outside_images": allow_outside_images or None,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    kind = format or (Format.csv if output is not None and output.suffix.lower() == ".csv" else Format.jsonl)

    asked = Asked(model, inputs or [], text or [], output, kind, encoding, revision, task, given)
    again = ANEW if output is None or "-" in asked.inputs else f"{GOES_ON} behind what {output}.part holds"
    run(lambda: write(asked, batch_size, skip=on_bad_row == OnBadRow.skip, every=probabilities), again)


@dataclass(frozen=True)
class Asked:
    """What a command line names."""

    model: str
    inputs: list[str]
    texts: list[str]
    output: Path | None
    kind: Format
    encoding: str
    revision: str | None
    task: str | None
    settings: dict[str, Any]

    def refuse_missing(self) -> None:
        """Refuse what is wrong at first sight.

        Raises:
            UserError: no input, one that is not there, or one that would be overwritten.
        """
        if not self.inputs and not self.texts:
            raise UserError("inputs", "there is none", "Name files or folders, - for the standard input, or --text")
        for name in self.inputs:
            if name != "-" and not Path(name).expanduser().exists():
                raise UserError(f"input '{name}'", "there is no such file or folder", "Check the path")
            if self.output is not None and self.output.resolve() == Path(name).expanduser().resolve():
                raise UserError(f"output '{self.output}'", "it is an input too", "Give another file")


def write(asked: Asked, batch_size: int, *, skip: bool, every: bool) -> None:
    """Ask the model about every row, and write what it says as it comes.

    Raises:
        UserError: an input, the model or a row cannot be asked; nothing appears at --output.
    """
    asked.refuse_missing()
    with alone_on_stdout() as stdout:
        from hfkit.inference.asking import Asking
        from hfkit.inference.saved import load_saved

        saved = load_saved(asked.model, task=asked.task, revision=asked.revision, **asked.settings)
        if asked.texts and saved.task.reads != "text":
            raise UserError("--text", f"a model for {saved.task.name} reads pictures", "Name their files")
        reading = reading_of(saved, asked.encoding, batch_size)
        sources = reading.sources(asked.inputs, asked.texts)
        reading.refuse_broken(sources)
        asking = Asking(saved, batch_size, skip, every)
        chunks = (chunk for source in sources for chunk in reading.chunks(source))
        if asked.output is None:
            rows, faults = to_stdout(stdout, asking, chunks, asked.kind)
        else:
            work = work_of(asked, saved, sources, batch_size, skip=skip, every=every)
            rows, faults = to_file(asked.output, work, asking, chunks, asked.kind)
        told = f"{rows:,} row{'s' * (rows != 1)}"
        if faults:
            told += f", {faults.total():,} of them without a prediction ({', '.join(map(counted, faults.items()))})"
        print(told + (f": {asked.output}" if asked.output else ""), file=sys.stderr)


def reading_of(saved: "SavedModel", encoding: str, batch_size: int) -> "Reading":
    from hfkit.data.streams import Reading

    suffixes: set[str] = set()
    if saved.task.reads == "pictures":
        from hfkit.data.images.files import SUFFIXES as suffixes
    size = batch_size * BATCHES[saved.task.reads]
    return Reading(saved.task.input_column, frozenset(suffixes), encoding, size)


def to_stdout(stdout: TextIO, asking: "Asking", chunks: "Iterator[Chunk]", kind: Format) -> "tuple[int, Counter[str]]":
    rows, faults, columns = 0, Counter(), []
    for chunk in chunks:
        records, found = asking.answers(chunk)
        columns = columns or list(records[0])
        try:
            stdout.write(text_of(records, kind, columns, header=not rows))
            stdout.flush()
        except BrokenPipeError:  # whoever reads has seen enough; nobody is left to be told
            os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
            break
        rows += len(records)
        faults.update(fault.rule for fault in found)
    return rows, faults


def to_file(
    output: Path, work: Any, asking: "Asking", chunks: "Iterator[Chunk]", kind: Format
) -> "tuple[int, Counter[str]]":
    """The same to a file, going on behind the rows that were written before."""
    with PartFile(output, work) as part:
        passed, faults, columns = 0, Counter(part.notes.get("faults", {})), part.notes.get("columns", [])
        if part.rows:
            print(f"{part.rows:,} rows were written before: going on behind them", file=sys.stderr)
        with progress("rows", done=part.rows) as advance:
            for chunk in chunks:
                passed += len(chunk.records)
                if passed <= part.rows:
                    continue
                records, found = asking.answers(chunk)
                faults.update(fault.rule for fault in found)
                header, columns = not columns, columns or list(records[0])
                piece = text_of(records, kind, columns, header=header)
                part.add(piece, len(records), {"faults": dict(faults), "columns": columns})
                advance(len(records))
        return part.rows, faults


def text_of(records: list[dict[str, Any]], kind: Format, columns: list[str], *, header: bool) -> str:
    """Rows as lines of JSON, or of CSV under the columns of the first rows.

    Raises:
        UserError: a row has other columns than the first rows.
    """
    from hfkit.report.schema import finite, plain

    records = [finite(plain(record)) for record in records]
    if kind == Format.jsonl:
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    # The rows of a chunk have the same columns.
    if list(records[0]) != columns:
        raise UserError(
            f"columns {', '.join(records[0])}",
            f"in a CSV file all rows have the same, and the first have {', '.join(columns)}",
            "Write --format jsonl, or ask about each file alone",
        )
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows([cell(value) for value in record.values()] for record in records)
    return lines.getvalue()


def cell(value: Any) -> Any:
    """Lists and mappings in a cell are JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def work_of(
    asked: Asked, saved: "SavedModel", sources: "list[Source]", batch_size: int, *, skip: bool, every: bool
) -> Any:
    """What an output is made of, by which a stopped command knows its own part again; None where it cannot."""
    inputs: list[Any] = [asked.texts]
    for source in sources:
        if source.file is None and source.given is None:
            return None  # the standard input is gone
        inputs.append([mark(Path(name)) for name in source.given or [source.file]] if source.name != "--text" else [])
    weights = [mark(file) for file in sorted(saved.folder.glob("*")) if file.suffix in (".json", ".safetensors")]
    flags = [asked.settings, asked.encoding, asked.kind.value, batch_size, skip, every]
    whole = json.dumps([asked.inputs, inputs, weights, flags], default=str)
    return hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()


def mark(file: Path) -> list[Any]:
    seen = file.expanduser().stat()
    return [str(file), seen.st_size, seen.st_mtime_ns]


def counted(item: tuple[str, int]) -> str:
    rule, rows = item
    return f"{rows:,}: {rule}"
