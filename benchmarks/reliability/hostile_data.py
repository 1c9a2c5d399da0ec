"""Datasets, pictures, archives, labels and links that reach for more than rows."""

import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.reliability.hostile_checkpoints import Attempts, says_no_private
from benchmarks.reliability.traps import Attempt, Lay, Traps

ROWS = [{"text": f"anna saw rain {number}", "label": ("good", "bad")[number % 2]} for number in range(20)]


def as_lines(rows: Iterable[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def with_data(lay: Lay, place: Path | str, *more: str, kind: str = "reviews") -> list[str]:
    return lay.recipe(kind, "--dataset", str(place), *more)


# Files of rows


def pickled_rows(traps: Traps) -> Attempts:
    """Pickles by the names of other files."""
    for suffix in ("pkl", "jsonl", "json", "csv", "parquet", "arrow", "xlsx", "spacy", "npz", "pt"):
        lay = traps.lay()
        file = lay.file(f"in/rows.{suffix}", pickle.dumps(traps.attack()))
        yield Attempt(f"dataset: rows.{suffix} is a pickle", with_data(lay, file), named=(f"rows.{suffix}",)), lay
    lay = traps.lay()
    for split in ("train", "validation", "test"):
        lay.file(f"in/rows/{split}.pkl", pickle.dumps(traps.attack()))
    yield Attempt("dataset: a folder of pickles", with_data(lay, lay.given / "rows"), named=("rows",)), lay
    lay = traps.lay()
    lay.file("in/rows/train.jsonl", as_lines(ROWS))
    lay.file("in/rows/train.pkl", pickle.dumps(traps.attack()))
    lay.file("in/rows/rows.py", traps.code("script"))
    lay.file("in/rows/dataset_infos.json", "{}")
    argv = with_data(lay, lay.given / "rows")
    yield Attempt("dataset: a script and a pickle beside the rows", argv, (0, 2), stdin="y\n" * 9), lay
    lay = traps.lay()
    lay.file("in/rows/rows.py", traps.code("script"))
    argv = with_data(lay, lay.given / "rows")
    yield Attempt("dataset: nothing but a script", argv, stdin="y\n" * 9, named=("rows",)), lay
    lay = traps.lay()
    file = lay.file("in/rows.pkl", pickle.dumps(traps.attack()))
    argv = ["hfkit", "predict", str(lay.work / "warm/reviews"), str(file)]
    yield Attempt("predict: rows in a pickle", argv, named=("rows.pkl",)), lay


def tables(traps: Traps) -> Attempts:
    """Parquet and Arrow whose metadata name what is to be imported, or hold a pickle."""
    kinds = {
        "a type to import": {b"huggingface": json.dumps(FEATURES | {"x": {"_type": "__import__('os')"}}).encode()},
        "features of os": {b"huggingface": b'{"info": {"features": {"text": {"_type": "os.system", "dtype": "x"}}}}'},
        "features that are none": {b"huggingface": b"[" * 10_000},
        "an index of pandas": {b"pandas": json.dumps({"index_columns": [{"kind": "os.system"}]}).encode()},
    }
    table = pa.Table.from_pylist(ROWS)
    for name, metadata in kinds.items():
        lay = traps.lay()
        pq.write_table(table.replace_schema_metadata(metadata), lay.given / "rows.parquet")
        argv = with_data(lay, lay.given / "rows.parquet")
        yield Attempt(f"parquet: metadata with {name}", argv, (0, 2)), lay
    extension = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(traps.attack()),
    }
    fields = [pa.field("text", pa.string(), metadata=extension), pa.field("label", pa.string())]
    table = table.cast(pa.schema(fields))
    for suffix in ("parquet", "arrow"):
        lay = traps.lay()
        path = lay.given / f"rows.{suffix}"
        if suffix == "parquet":
            pq.write_table(table, path)
        else:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        yield Attempt(f"{suffix}: a type of Python in a pickle", with_data(lay, path), (0, 2)), lay
    lay = traps.lay()
    path = lay.given / "rows.parquet"
    pq.write_table(pa.table({"text": ["x" * 1000] * 300_000, "label": ["a", "b", "c"] * 100_000}), path)
    argv = ["hfkit", "doctor", "--task", "text-classification", "--dataset", str(path), "--most_rows", "10"]
    yield Attempt("parquet: 300 MB of text in a few kB", argv, (0, 1, 2)), lay


FEATURES = {"info": {"features": {"text": {"_type": "Value", "dtype": "string"}}}}


def texts(traps: Traps) -> Attempts:
    """YAML, JSON, CSV and XML that run, unpack or never end."""
    yamls = {
        "python/object/apply": f"seed: !!python/object/apply:os.system ['{traps.command('yaml')}']\n",
        "python/object/new": "seed: !!python/object/new:os.system [true]\n",
        "python/name": "seed: !!python/name:os.system\n",
        "aliases of aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "nesting of 5,000": "seed: " + "[" * 5000 + "\n",
    }
    for name, text in yamls.items():
        lay = traps.lay()
        file = lay.file("in/job.yaml", text)
        yield (
            Attempt(f"config: YAML with {name}", lay.recipe("reviews", "--config", str(file)), named=("job.yaml",)),
            lay,
        )
    cards = {
        "python/object/apply": f"---\nlicense: !!python/object/apply:os.system ['{traps.command('card')}']\n---\n",
        "files at an address": f"---\nconfigs:\n- config_name: default\n  data_files: {traps.address}/rows.csv\n---\n",
        "files elsewhere": "---\nconfigs:\n- config_name: default\n  data_files: ../../../outside/private.txt\n---\n",
    }
    for name, text in cards.items():
        lay = traps.lay()
        lay.file("in/rows/README.md", text)
        lay.file("in/rows/train.jsonl", as_lines(ROWS))
        argv = with_data(lay, lay.given / "rows")
        yield Attempt(f"card of a dataset: {name}", argv, (0, 2), holds=says_no_private), lay
    lay = traps.lay()
    place = lay.copy("material/bert", "checkpoint")
    (place / "README.md").write_text(cards["python/object/apply"])
    argv = lay.recipe("reviews", "--checkpoint", str(place))
    yield Attempt("card of a checkpoint: python/object/apply", argv, (0, 2)), lay
    contents = {
        "json: nested 100,000 deep": ("rows.json", "[" * 100_000),
        "jsonl: a row nested 100,000 deep": ("rows.jsonl", '{"text": ' + "[" * 100_000 + "\n"),
        "jsonl: a number of 100,000 digits": ("rows.jsonl", '{"text": "a", "label": ' + "9" * 100_000 + "}\n"),
        "csv: a quotation that never ends": ("rows.csv", 'text,label\n"' + "a,b\n" * 100_000),
        "csv: one line of 20 MB": ("rows.csv", "text,label\n" + "a" * 20_000_000),
    }
    for name, (file, text) in contents.items():
        lay = traps.lay()
        named = ("row 0",) if "digits" in name else (file,)
        yield Attempt(name, with_data(lay, lay.file(f"in/{file}", text)), named=named), lay
    lay = traps.lay()
    entities = f'<!DOCTYPE v [<!ENTITY x SYSTEM "{traps.address}/x"><!ENTITY y SYSTEM "file:///etc/hostname">]>'
    lay.file("in/rows/config.xml", f'{entities}<View><Text name="t" value="$text"/>&x;&y;</View>')
    lay.file("in/rows/export.json", json.dumps(list(map(as_task, ROWS))))
    argv = with_data(lay, lay.given / "rows")
    yield Attempt("Label Studio: entities of elsewhere in its configuration", argv, (0, 2)), lay
    lay = traps.lay()
    names = "abcdefghij"
    more = "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip(names, names[1:], strict=False))
    lay.file("in/rows/config.xml", f'<!DOCTYPE v [<!ENTITY a "ha">{more}]><View><Text name="t" value="&j;"/></View>')
    lay.file("in/rows/export.json", json.dumps(list(map(as_task, ROWS))))
    yield Attempt("Label Studio: a billion laughs", with_data(lay, lay.given / "rows"), (0, 2)), lay


def as_task(row: dict) -> dict:
    """A row as Label Studio exports it."""
    result = {"from_name": "q", "to_name": "t", "type": "choices", "value": {"choices": [row["label"]]}}
    return {"id": 1, "data": {"text": row["text"]}, "annotations": [{"result": [result]}]}


def workbooks(traps: Traps) -> Attempts:
    """Workbooks with entities, formulas and bombs."""
    entity = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "{traps.address}/x">]>'
    sheets = {
        "an entity of elsewhere": entity + sheet("<is><t>&e;</t></is>"),
        "a formula that calls": sheet("<f>cmd|' /C calc'!A0</f><v>0</v>", kind="str"),
        "100 MB of blanks": sheet("<is><t>a</t></is>") + " " * 100_000_000,
    }
    for name, content in sheets.items():
        lay = traps.lay()
        path = lay.given / "rows.xlsx"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
            for part, text in PARTS.items():
                book.writestr(part, text)
            book.writestr("xl/worksheets/sheet1.xml", content)
        yield Attempt(f"workbook: {name}", with_data(lay, path), (0, 2)), lay


def sheet(cell: str, kind: str = "inlineStr") -> str:
    cells = f'<c r="A2" t="{kind}">{cell}</c><c r="B2" t="inlineStr"><is><t>b</t></is></c>'
    head = "".join(
        f'<c r="{c}1" t="inlineStr"><is><t>{name}</t></is></c>' for c, name in zip("AB", ROWS[0], strict=True)
    )
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    rows = f'<row r="1">{head}</row><row r="2">{cells}</row>'
    return f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>"


RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Target="xl/workbook.xml"'
    f' Type="{RELATIONS}/officeDocument"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1"'
    f' Type="{RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    f' xmlns:r="{RELATIONS}"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>',
}


# Archives


def archives(traps: Traps) -> Attempts:
    """Archives that unpack elsewhere, or into more than there is."""
    outside = str(traps.outside)
    names = {
        "the folder above": "../slipped.jsonl",
        "far above": "a/../../../../../../../../" + outside.lstrip("/") + "/slipped.jsonl",
        "a whole path": outside + "/slipped.jsonl",
        "a path of Windows": "..\\..\\slipped.jsonl",
        "a drive": "C:\\slipped.jsonl",
    }
    for name, member in names.items():
        lay = traps.lay()
        with zipfile.ZipFile(lay.given / "rows.zip", "w") as archive:
            archive.writestr("rows.jsonl", as_lines(ROWS))
            archive.writestr(member, "slipped")
        argv = with_data(lay, lay.given / "rows.zip")
        yield Attempt(f"zip: {name} as a name", argv, named=("outside of itself",)), lay
    lay = traps.lay()
    with zipfile.ZipFile(lay.given / "rows.zip", "w") as archive:
        link = zipfile.ZipInfo("train.jsonl")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, f"{outside}/private.txt")
    argv = with_data(lay, lay.given / "rows.zip")
    yield Attempt("zip: a link that leads elsewhere", argv, holds=says_no_private), lay
    lay = traps.lay()
    with zipfile.ZipFile(lay.given / "rows.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.jsonl", b" " * 10**6)
    spoilt = (lay.given / "rows.zip").read_bytes().replace(struct.pack("<I", 10**6), struct.pack("<I", 2**32 - 2))
    (lay.given / "rows.zip").write_bytes(spoilt)
    yield Attempt("zip: a size that is a lie", with_data(lay, lay.given / "rows.zip"), named=("rows",)), lay
    lay = traps.lay()
    write_bomb(lay.given / "rows.zip", members=40)
    argv = with_data(lay, lay.given / "rows.zip")
    yield Attempt("zip: 160 GiB in one member named 40 times", argv, named=("rows.zip", "GiB")), lay
    lay = traps.lay()
    with zipfile.ZipFile(lay.given / "rows.zip", "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}/", "")
    yield Attempt("zip: 20,000 folders and no file", with_data(lay, lay.given / "rows.zip"), named=("rows",)), lay
    kinds = {"the folder above": ("../0.txt", None), "a link elsewhere": ("0.txt", f"{outside}/private.txt")}
    for name, (member, link) in kinds.items():
        lay = traps.lay()
        with tarfile.open(lay.given / "rows.tar", "w") as archive:
            info = tarfile.TarInfo(member)
            if link:
                info.type, info.linkname = tarfile.SYMTYPE, link
            else:
                info.size = 4
            archive.addfile(info, io.BytesIO(b"text"))
        argv = with_data(lay, lay.given / "rows.tar")
        yield Attempt(f"tar: {name}", argv, (0, 2), holds=says_no_private), lay
    arrays = io.BytesIO()
    np.save(arrays, np.array([traps.attack()], dtype=object), allow_pickle=True)
    samples = {"pkl": pickle.dumps(traps.attack()), "pickle": pickle.dumps(traps.attack()), "npy": arrays.getvalue()}
    samples["pth"] = pickle.dumps(traps.attack())
    for suffix, content in samples.items():
        lay = traps.lay()
        with tarfile.open(lay.given / "rows.tar", "w") as archive:
            for member, data in {"0.txt": b"a text", "0.cls": b"1", f"0.{suffix}": content}.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        yield Attempt(f"tar: a sample in .{suffix} with code", with_data(lay, lay.given / "rows.tar"), (0, 2)), lay


def write_bomb(path: Path, members: int) -> None:
    """A .zip whose members are all the same few bytes, which claim 4 GiB each."""
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(b" " * 10**6) + packed.flush()
    size = 2**32 - 2
    name = b"rows.jsonl"
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(data), size, len(name), 0) + name + data
    listed = b""
    for number in range(members):
        own = b"%d.jsonl" % number
        entry = (b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(data), size, len(own), 0, 0, 0, 0, 0, 0)
        listed += struct.pack("<4sHHHHHHIIIHHHHHII", *entry) + own
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, members, members, len(listed), len(local), 0)
    path.write_bytes(local + listed + end)


# Addresses


def addresses(traps: Traps) -> Attempts:
    """Addresses where a dataset, a picture or a text stands: none is asked for anything."""
    for form in (
        "{}/rows.jsonl",
        "simplecache::{}/rows.jsonl",
        "zip://rows.jsonl::{}/rows.zip",
        "blockcache::{}/a.csv",
    ):
        lay = traps.lay()
        argv = with_data(lay, form.format(traps.address))
        yield Attempt(f"dataset: {form.format('ADDRESS')} without a flag", argv), lay
    lay = traps.lay()
    rows = [row | {"text": f"{traps.address}/{number} {row['text']}"} for number, row in enumerate(ROWS)]
    file = lay.file("in/rows.jsonl", as_lines(rows))
    yield Attempt("texts: addresses", with_data(lay, file), (0,)), lay
    lay = traps.lay()
    argv = ["hfkit", "predict", str(lay.work / "warm/reviews"), str(lay.file("in/rows.jsonl", as_lines(rows)))]
    yield Attempt("texts: addresses that a model is asked about", argv, (0,)), lay
    lay = traps.lay()
    rows = [row | {"label": f"{traps.address}/{row['label']}"} for row in ROWS]
    yield Attempt("labels: addresses", with_data(lay, lay.file("in/rows.jsonl", as_lines(rows))), (0,)), lay


# Pictures


def pictures(traps: Traps) -> Attempts:
    """Files that are no pictures, unpack to gigabytes, or would have a program read them."""
    postscript = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%{traps.command('eps')}) (r) file\n"
    magick = f"push graphic-context\nimage over 0,0 0,0 'ephemeral:|{traps.command('mvg')}'\npop graphic-context\n"
    contents = {
        "0.eps": postscript,
        "1.png": postscript,
        "2.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{traps.address}/x.png"/></svg>',
        "3.jpg": magick,
        "4.png": make_png(60_000, 60_000),
        "5.png": make_png(9_000, 9_000),
        "6.jpg": pickle.dumps(traps.attack()),
        "7.tif": b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 65_535),
        "8.gif": b"GIF89a\xff\xff\xff\xff\0\0\0",
    }
    for name, content in contents.items():
        lay = traps.lay()
        place = lay.copy("material/images", "pictures")
        lay.file(f"in/pictures/train/red/{name}", content)
        argv = with_data(lay, place, kind="images")
        codes = (0, 2) if name.endswith("eps") else (2,)  # no suffix of a picture: left out, and said
        yield Attempt(f"picture: {name}, {kind_of(content)}", argv, codes, named=(name,) if codes == (2,) else ()), lay


def kind_of(content: str | bytes) -> str:
    return repr(content[:12])


def make_png(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels, packed small."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packed = zlib.compress(b"\0" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def picture_paths(traps: Traps) -> Attempts:
    """Paths of pictures in tables that lead elsewhere."""
    paths = {
        "an address": "ADDRESS/x.png",
        "an address of another kind": "ftp://127.0.0.1:PORT/x.png",
        "a chain of addresses": "simplecache::ADDRESS/x.png",
        "an address without a scheme": "//127.0.0.1:PORT/x.png",
        "a server of Windows": "\\\\127.0.0.1@PORT\\x.png",
        "the address of a file": "file://OUTSIDE/0.png",
        "a whole path": "OUTSIDE/0.png",
        "the folder above": "../../../outside/0.png",
        "in percent signs": "..%2F..%2Foutside%2F0.png",
        "a device": "/dev/zero",
        "a member of an archive": "zip://0.png::OUTSIDE/x.zip",
        "the Hub": "hf://datasets/evil/x/0.png",
    }
    for name, path in paths.items():
        lay = traps.lay()
        lay.copy("material/images/train/red", "table")
        Image.new("RGB", (9, 9)).save(traps.outside / "0.png")
        for place, value in (("ADDRESS", traps.address), ("PORT", str(traps.port)), ("OUTSIDE", str(traps.outside))):
            path = path.replace(place, value)
        rows = [{"image": f"{number}.png", "label": "ab"[number % 2]} for number in range(8)]
        lay.file("in/table/train.jsonl", as_lines([*rows, {"image": path, "label": "a"}]))
        argv = with_data(lay, lay.given / "table", kind="images")
        yield Attempt(f"path of a picture: {name}", argv, named=("row 8",)), lay
    lay = traps.lay()
    tasks = [
        task | {"data": {"image": f"{traps.address}/data/local-files/?d=../../../outside/0.png"}}
        for task in map(as_task, ROWS)
    ]
    lay.file("in/rows.json", json.dumps(tasks))
    argv = with_data(lay, lay.given / "rows.json", kind="images")
    yield Attempt("Label Studio: pictures on its server", argv), lay


# Labels


def labels(traps: Traps) -> Attempts:
    """Labels that are paths or commands: of texts, of pictures, of words."""
    command = traps.command("label")
    outside = str(traps.outside / "label")
    named = [
        "../../../outside/label",
        outside,
        f"$({command})",
        f"`{command}`",
        f"; {command}; #",
        f"| {command}",
        f"a && {command}",
        "..",
        "con\0sole",
        "a/b\\c",
        "{0.__class__}%s%n",
    ]
    for number, label in enumerate(named):
        lay = traps.lay()
        rows = [row | {"label": label if row["label"] == "bad" else "good"} for row in ROWS]
        argv = with_data(lay, lay.file("in/rows.jsonl", as_lines(rows)))
        yield Attempt(f"label {number} of texts: {label!r}", argv, (0, 2)), lay
    for number, label in enumerate(named[:4]):
        lay = traps.lay()
        lay.copy("material/images/train/red", "table")
        rows = [{"image": f"{number}.png", "label": (label, "a")[number % 2]} for number in range(8)]
        lay.file("in/table/train.jsonl", as_lines(rows))
        argv = with_data(lay, lay.given / "table", "--validation_share", "0.25", "--test_share", "0.25", kind="images")
        yield Attempt(f"label {number} of pictures: {label!r}", argv, (0, 2)), lay
    lay = traps.lay()
    rows = [{"tokens": ["anna", "saw", outside], "tags": ["B-" + outside, "O", f"B-{command}"]} for _ in range(20)]
    argv = with_data(lay, lay.file("in/rows.jsonl", as_lines(rows)), kind="ner")
    yield Attempt("tags of words: a path and a command", argv, (0, 2)), lay
    lay = traps.lay()
    file = lay.given / f"rows; {command.replace('/', '_')} $(x) `y`.jsonl"
    file.write_text(as_lines(ROWS))
    yield Attempt("the name of a file: a command", with_data(lay, file), (0,)), lay


# Links


def links(traps: Traps) -> Attempts:
    """Links that lead out of the folder of a dataset."""
    lay = traps.lay()
    lay.file("in/rows/train.jsonl", as_lines(ROWS))
    (lay.given / "rows/test.jsonl").symlink_to(traps.outside / "private.txt")
    argv = with_data(lay, lay.given / "rows")
    yield Attempt("link: a file of rows leads elsewhere", argv, holds=says_no_private), lay
    lay = traps.lay()
    place = lay.copy("material/images", "pictures")
    Image.new("RGB", (40, 36)).save(traps.outside / "0.png")
    (place / "train/red/99.png").symlink_to(traps.outside / "0.png")
    argv = with_data(lay, place, kind="images")
    yield Attempt("link: a picture lies elsewhere", argv, named=("99.png",)), lay
    lay = traps.lay()
    place = lay.copy("material/images", "pictures")
    Image.new("RGB", (40, 36)).save(traps.outside / "0.png")
    (place / "train/green").symlink_to(traps.outside)
    yield Attempt("link: a class folder lies elsewhere", with_data(lay, place, kind="images"), named=("green",)), lay
    lay = traps.lay()
    place = lay.copy("material/images", "pictures")
    (place / "train/red/loop").symlink_to(place)
    argv = with_data(lay, place, kind="images")
    yield Attempt("link: a folder that holds itself", argv, (0, 2)), lay
    lay = traps.lay()
    lay.file("in/rows/train.jsonl", as_lines(ROWS))
    (lay.given / "rows/test.jsonl").symlink_to("/dev/zero")
    # No file is a file of rows: it is left out, and said.
    yield Attempt("link: rows without an end", with_data(lay, lay.given / "rows"), (0, 2)), lay


def every_dataset(traps: Traps) -> Iterator[tuple[Attempt, Lay]]:
    for group in (pickled_rows, tables, texts, workbooks, archives, addresses, pictures, picture_paths, labels, links):
        yield from group(traps)
