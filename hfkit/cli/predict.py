"""`hfkit predict`: a saved model's answers to new rows, texts or pictures."""

import csv
import hashlib
import io
import json
import os
import sys
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, get_origin

import typer

from hfkit.errors import Failure, UserError
from hfkit.progress import progress, reserve_stdout
from hfkit.runtime.commands import ANEW, GOES_ON, run
from hfkit.runtime.formulas import escape_formula
from hfkit.runtime.locks import hold_file
from hfkit.runtime.part_file import PartFile

if TYPE_CHECKING:
    from hfkit.contract.task import Task
    from hfkit.data.streams import Chunk, Reading, Source
    from hfkit.inference.asking import Asking
    from hfkit.inference.explanations import Explanations
    from hfkit.inference.saved import SavedModel

TEXT_BATCHES, OTHER_BATCHES = 16, 4  # of a chunk: texts are sorted by length within it, pictures are larger
OWN_FLAGS = (
    *("--text", "--output", "--format", "--probabilities", "--batch_size", "--on_bad_row", "--encoding", "--sheet"),
    *("--task", "--revision", "--escape_formulas", "--no_escape_formulas", "--explain", "--explain_most"),
)


class Format(StrEnum):
    """How predictions are written."""

    jsonl = "jsonl"
    csv = "csv"
    doccano = "doccano"
    prodigy = "prodigy"


class OnBadRow(StrEnum):
    """How to treat a row that the model cannot be asked about."""

    error = "error"
    skip = "skip"


def predict(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="output_dir of a run, any folder with a model, or a Hub id")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            help="files of rows (.csv .tsv .xlsx .jsonl .json .parquet .fasta …), of one text a line (.txt), pictures,"
            " folders of pictures or with one file of rows, or - for the lines of the standard input",
        ),
    ] = None,
    text: Annotated[list[str] | None, typer.Option("--text", help="a text to ask about; may be given again")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="file; default: standard output", readable=False)
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="default: csv for an --output that ends so, else jsonl; doccano and prodigy write texts with spans of"
            " characters, one a line, as these tools import them",
        ),
    ] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="add that of every label")] = False,
    explain: Annotated[
        Path | None,
        typer.Option("--explain", help="folder for pictures of what answers rest on, one a row", readable=False),
    ] = None,
    explain_most: Annotated[
        int, typer.Option("--explain_most", min=1, help="rows to write such a picture of, the first ones")
    ] = 100,
    batch_size: Annotated[int, typer.Option("--batch_size", min=1, help="rows that the model sees at once")] = 32,
    on_bad_row: Annotated[
        OnBadRow,
        typer.Option("--on_bad_row", help="stop at the first bad row, or write what is wrong with it in its place"),
    ] = OnBadRow.error,
    escape_formulas: Annotated[
        bool,
        typer.Option(
            "--escape_formulas/--no_escape_formulas",
            help="write ' before a cell of a CSV that a spreadsheet would run as a formula",
        ),
    ] = True,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="of files of text, such as cp1252; default: found in the file")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="sheet of a workbook that has several")] = None,
    task: Annotated[str | None, typer.Option("--task", help="what the model does, where its files do not say")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="branch, tag or commit of a Hub id")] = None,
) -> None:
    """Ask a saved model about new rows, texts or pictures: one line of JSON for each, in order.

    A row keeps its columns and gets `prediction`: a label, a list of labels, a number, or a list of entities with
    `label`, `text`, `start` and `end` (characters). Where the model tells, `probability` is that of its label. With
    --on_bad_row skip, `error` says why a row has no prediction. Files of any size are read a piece at a time (a .json
    that is one list and a workbook are read at once). An --output appears when it is whole; stopped before, the same
    command goes on from FILE.part, unless rows come from the standard input.

    In CSV, a text that a spreadsheet would run as a formula (it begins with = + - @) gets a ' before it, unless
    --no_escape_formulas is given; numbers and JSON stay as they are.

    With --explain DIR, a model for pictures writes where it looks: each picture in grey under colours from violet (no
    part in the answer) to yellow, with its file in the column `explanation`. It is a hint, not a proof.

    The flags of the model's task are accepted too, such as --text_column, --max_length or --allow_outside_images; they
    win over those of its run.

        hfkit predict runs/bert-sentiment reviews.csv --output answers.csv
        hfkit predict runs/bert-sentiment --text "anna likes the sea" --probabilities
        hfkit predict runs/bert-ner sentences.jsonl --output entities.jsonl
        hfkit predict runs/vit-images pictures picture.png
        hfkit predict runs/vit-images pictures picture.png --explain looked

    Exit codes: 0 every row has its line; 1 something failed; 2 the model or the input cannot be read, or a row cannot
    be asked; 75 interrupted.
    """
    # click leaves options that it does not know among the inputs, in their order.
    words = [word for word in [*(inputs or []), *context.args] if word != "--debug"]
    kind = format or (Format.csv if output is not None and output.suffix.lower() == ".csv" else Format.jsonl)
    request = Request(model, words, text or [], output, kind, encoding, sheet, revision, task, escape_formulas)
    request = replace(request, explain=explain and str(explain), explain_most=explain_most)
    again = ANEW if output is None or "-" in words else f"{GOES_ON} behind what {output}.part holds"
    run(lambda: write(request, batch_size, skip=on_bad_row == OnBadRow.skip, every=probabilities), again)


@dataclass(frozen=True)
class Layout:
    """How rows become text."""

    kind: Format
    escape: bool = True  # formulas in the cells of a CSV
    ascii: bool = False  # JSON writes other characters as \\u00e4


@dataclass(frozen=True)
class Request:
    """A command line, before the model's task is known."""

    model: str
    words: list[str]  # inputs, and flags of the task
    texts: list[str]
    output: Path | None
    kind: Format
    encoding: str | None
    sheet: str | None
    revision: str | None
    task: str | None
    escape: bool = True  # formulas in the cells of a CSV
    explain: str | None = None  # a folder for pictures of what answers rest on
    explain_most: int = 100  # rows

    @property
    def layout(self) -> Layout:
        return Layout(self.kind, self.escape)

    def refuse_unusable(self, inputs: list[str]) -> None:
        """Refuse inputs before the model is loaded.

        Raises:
            UserError: there is none, one does not exist, or one would be overwritten.
        """
        if not inputs and not self.texts:
            raise UserError("inputs", "there is none", "Name files or folders, - for the standard input, or --text")
        from hfkit.runtime.files import expand_home, find_fault, is_same_place

        if self.output is not None and (self.output.name == "" or os.path.lexists(self.output)):
            fault = find_fault(self.output)
            # What may not be read may still be replaced, and so may a link to nothing.
            if fault is not None and (self.output.exists() and not self.output.is_file()):
                raise UserError(f"output '{self.output}'", fault, "Give the name of a file")
        for name in inputs:
            if name != "-" and not os.path.isdir(expand_home(name)) and (fault := find_fault(expand_home(name))):
                raise UserError(f"input '{name}'", fault, "Check the path")
            if self.output is not None and is_same_place(self.output, expand_home(name)):
                raise UserError(f"output '{self.output}'", "it is an input too", "Give another file")


def split_words(words: list[str], kind: "type[Task]") -> tuple[list[str], list[str]]:
    """Inputs, and flags of the task with their values.

    A flag of a truth value takes true or false from behind it, and nothing else; one of a list takes all up to the
    next flag.

    Raises:
        UserError: a flag is none of the task's, or is about the dataset of a run.
    """
    from hfkit.arguments.parse import nearest_word
    from hfkit.contract.task import Task

    of_runs = {field.name for field in fields(Task)}
    known = {field.name: field.type for field in fields(kind) if field.init and field.name not in of_runs}
    inputs, flags, rest = [], [], deque(words)
    while rest:
        word = rest.popleft()
        if not word.startswith("-") or word == "-":
            inputs.append(word)
            continue
        name, equals, _ = word.partition("=")
        if not name.startswith("--") or name.removeprefix("--") not in known:
            names = [*OWN_FLAGS, *(f"--{name}" for name in known)]
            raise UserError(
                word, "no such flag (abbreviations are not accepted)", f"Did you mean {nearest_word(word, names)}?"
            )
        flags.append(word)
        taken = known[name.removeprefix("--")]
        if equals:
            continue
        if taken is bool:
            flags += [rest.popleft()] if rest and rest[0].lower() in ("true", "false") else []
        elif get_origin(taken) is list:
            while rest and not rest[0].startswith("--"):
                flags.append(rest.popleft())
        elif rest:
            flags.append(rest.popleft())
    return inputs, flags


def write(request: Request, batch_size: int, *, skip: bool, every: bool) -> None:
    """Ask the model about every row, and write its answers as they come.

    Raises:
        UserError: an input, the model or a row cannot be asked; nothing appears at --output.
    """
    if not request.words:
        request.refuse_unusable([])
    from hfkit.data.notes import collect_notes

    # A file is read twice, first for its faults, and what is told of it is told once.
    with reserve_stdout() as stdout, collect_notes():
        from hfkit.inference.asking import Asking
        from hfkit.inference.saved import find_saved

        found = find_saved(request.model, task=request.task, revision=request.revision)
        inputs, flags = split_words(request.words, found.kind)
        request.refuse_unusable(inputs)
        saved = found.load(*found.parse(argv=flags))
        if request.texts and not reads_texts(saved):
            media = saved.task.rows.media
            raise UserError("--text", f"a model for {saved.task.key} reads {media}s, not text", "Name their files")
        reading = make_reading(saved, request, batch_size)
        sources = reading.sources(inputs, request.texts)
        reading.refuse_broken(sources)
        tool = request.kind.value if request.kind in (Format.doccano, Format.prodigy) else None
        if tool is not None and not answers_with_spans(saved):
            raise UserError(f"--format {tool}", f"a model for {saved.task.key} finds no spans", "Write jsonl or csv")
        explanations = make_explanations(saved, request, inputs)
        asking = Asking(saved, batch_size, skip, every, tool, explanations)
        chunks = (chunk for source in sources for chunk in reading.chunks(source))
        if request.output is None:
            ascii_only = not can_write_all(stdout)
            rows, faults = write_to_stdout(stdout, asking, chunks, replace(request.layout, ascii=ascii_only))
        else:
            own = (request.encoding, request.sheet, request.kind.value, request.escape, batch_size, skip, every)
            own += (request.explain, request.explain_most) if request.explain else ()
            flags += map(str, own)
            work = identify_work(saved, inputs, request.texts, sources, flags)
            rows, faults = write_to_file(request.output, work, asking, chunks, request.layout)
        summary = f"{rows:,} row{'s' * (rows != 1)}"
        if faults:
            summary += (
                f", {faults.total():,} of them without a prediction ({', '.join(map(count_text, faults.items()))})"
            )
        print(summary + (f": {request.output}" if request.output else ""), file=sys.stderr)


def make_explanations(saved: "SavedModel", request: Request, inputs: list[str]) -> "Explanations | None":
    """The pictures of what answers rest on, if they are asked for.

    Raises:
        UserError: the model has none, or their folder is none.
    """
    from datasets import Dataset

    from hfkit.inference.explanations import Explanations

    if request.explain is None:
        return None
    saved.explain(Dataset.from_dict({}), [])  # refused before any row is read
    found = Explanations(request.explain, request.explain_most)
    found.refuse_inputs(inputs)
    found.make_folder()
    return found


def can_write_all(stream: TextIO) -> bool:
    """Whether the encoding of a stream has all characters."""
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def reads_texts(saved: "SavedModel") -> bool:
    from hfkit.contract.rows import Media

    return saved.task.rows.media is Media.TEXT


def answers_with_spans(saved: "SavedModel") -> bool:
    from hfkit.contract.view import Spans

    return saved.task.view.answers is Spans


def make_reading(saved: "SavedModel", request: Request, batch_size: int) -> "Reading":
    from hfkit.contract.rows import Media
    from hfkit.data.streams import Reading

    suffixes: set[str] = set()
    if saved.task.rows.media is Media.IMAGE:
        from hfkit.data.images.pictures import SUFFIXES as suffixes
    size = batch_size * (TEXT_BATCHES if reads_texts(saved) else OTHER_BATCHES)
    return Reading(saved.task.rows.main_column, frozenset(suffixes), request.encoding, size, request.sheet)


def write_to_stdout(
    stdout: TextIO, asking: "Asking", chunks: "Iterator[Chunk]", layout: Layout
) -> "tuple[int, Counter[str]]":
    """The number of rows written, and how often each rule was broken.

    Raises:
        Failure: the disk behind the standard output is full, or the like.
    """
    rows, faults, columns = 0, Counter(), []
    for chunk in chunks:
        records, found = asking.answers(chunk, rows)
        columns = columns or list(records[0])
        try:
            stdout.write(format_rows(records, layout, columns, header=not rows))
            stdout.flush()
        except BrokenPipeError:  # the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
            break
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())  # otherwise the exit tries once more
            happened = f"the standard output cannot be written ({error.strerror})"
            raise Failure(happened, "Make room there, or give a file with --output") from error
        rows += len(records)
        faults.update(fault.rule for fault in found)
    return rows, faults


def write_to_file(
    output: Path, work: Any, asking: "Asking", chunks: "Iterator[Chunk]", layout: Layout
) -> "tuple[int, Counter[str]]":
    """The same to a file, behind the rows that an earlier command wrote."""
    with hold_file(output, f"output '{output}'"), PartFile(output, work) as part:
        passed, faults, columns = 0, Counter(part.notes.get("faults", {})), part.notes.get("columns", [])
        if part.rows:
            print(f"{part.rows:,} rows were written before: going on behind them", file=sys.stderr)
        with progress("rows", done=part.rows) as advance:
            for chunk in chunks:
                passed += len(chunk.records)
                if passed <= part.rows:
                    continue
                records, found = asking.answers(chunk, part.rows)
                faults.update(fault.rule for fault in found)
                header, columns = not columns, columns or list(records[0])
                piece = format_rows(records, layout, columns, header=header)
                part.add(piece, len(records), {"faults": dict(faults), "columns": columns})
                advance(len(records))
        return part.rows, faults


def format_rows(records: list[dict[str, Any]], layout: Layout, columns: list[str], *, header: bool) -> str:
    """Rows as lines of JSON, or of CSV under the columns of the first rows.

    Raises:
        UserError: a row has other columns than the first rows.
    """
    from hfkit.report.schema import to_finite, to_plain

    records = [to_finite(to_plain(record)) for record in records]
    if layout.kind != Format.csv:
        return "".join(json.dumps(record, ensure_ascii=layout.ascii) + "\n" for record in records)
    # The rows of a chunk have the same columns.
    if list(records[0]) != columns:
        raise UserError(
            f"columns {', '.join(records[0])}",
            f"in a CSV file all rows have the same, and the first have {', '.join(columns)}",
            "Write --format jsonl, or ask about each file alone",
        )
    lines = [columns] if header else []
    lines += [list(record.values()) for record in records]
    return "".join(format_line([format_cell(value, layout.escape) for value in line]) for line in lines)


def format_line(cells: list[Any]) -> str:
    """A line of CSV. A writer quotes the line ends of its own alone, and a bare carriage return would end a row."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"


def format_cell(value: Any, escape: bool) -> Any:
    """A value as a cell: lists and mappings are JSON, and text is escaped if asked for."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return escape_formula(value) if escape and isinstance(value, str) else value


def identify_work(
    saved: "SavedModel", inputs: list[str], texts: list[str], sources: "list[Source]", flags: list[str]
) -> str | None:
    """A digest of all that decides an output, by which a stopped command recognises its own part; None if it cannot."""
    files: list[Any] = []
    for source in sources:
        if source.file is None and source.given is None:
            return None  # the standard input is gone
        files.append([stamp(Path(name)) for name in source.given or [source.file]] if source.name != "--text" else [])
    weights = [stamp(file) for file in sorted(saved.folder.glob("*")) if file.suffix in (".json", ".safetensors")]
    whole = json.dumps([inputs, texts, files, weights, flags], default=str)
    return hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()


def stamp(file: Path) -> list[Any]:
    stat = file.expanduser().stat()
    return [str(file), stat.st_size, stat.st_mtime_ns]


def count_text(item: tuple[str, int]) -> str:
    rule, rows = item
    return f"{rows:,}: {rule}"
