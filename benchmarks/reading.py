r"""CPU seconds in which hfkit reads 100,000 rows from a file, beside a tuned way to the same table.

    OMP_NUM_THREADS=1 python benchmarks/reading.py --result benchmarks/results/reading.json

The rows are texts of 5 to 35 words, each with one of three labels, made anew from a fixed seed. Each run is a process
of its own that ends with a `Dataset`. Contenders take turns, and each ratio is of one round, so that load on the
machine falls on both alike. `read` is the time between the imports and the table, `process` that of the whole process
with its imports, both on one thread. Every contender must give the same rows.

hfkit looks for the encoding, the separator and the line of names, and checks every row's width. The others are told:
pandas' fast parser, the builder of `datasets` with an empty cache, and for workbooks pandas with python-calamine, the
fastest engine that it has, and with openpyxl, its usual one; for an export of Label Studio, a loop that takes the one
choice of each task and looks at nothing else. openpyxl writes the workbook too: `pip install openpyxl`.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

# Kind of file -> its title in the table.
NAMES = {"csv": "CSV", "jsonl": "JSON lines", "json": "Label Studio JSON", "xlsx": "Excel"}
LIMITS = {"Excel": 10.0}  # CPU seconds that a whole process of hfkit may take for 100,000 rows, by title
LIMIT = 3.0  # of the others
# The contenders of each kind of file, hfkit first, and then the one that it is compared with.
CONTENDERS = {
    "csv": ("hfkit", "pandas"),
    "jsonl": ("hfkit", "datasets"),
    "json": ("hfkit", "json and a loop"),
    "xlsx": ("hfkit", "pandas with calamine", "pandas with openpyxl"),
}


def main() -> None:
    if sys.argv[1:2] == ["--read"]:
        read(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--result", type=Path, default=None)
    args = parser.parse_args()
    # Only now, for the processes that are measured must not find it loaded.
    from hfkit.runtime.machine import environment

    result = {
        "schema": "hfkit.reading/1",
        "command": f"python benchmarks/reading.py --rows {args.rows} --rounds {args.rounds}",
        "environment": environment(),
        "rows": args.rows,
        "files": measure(args.rows, args.rounds),
    }
    print(json.dumps(result["files"], indent=1))
    if args.result:
        args.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(rows: int, rounds: int) -> dict:
    """For each kind of file, CPU seconds of its contenders by round, and the ratios of hfkit to the first other one."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, names in CONTENDERS.items():
            write(kind, file := Path(folder, f"rows.{kind}"), make_rows(rows))
            seconds: dict[str, list[dict]] = {name: [] for name in names}
            for number in range(rounds + 1):
                told = {name: run(name, file) for name in (names if number % 2 else names[::-1])}
                if len({one["digest"] for one in told.values()}) > 1:
                    sys.exit(f"{kind}: the contenders gave unlike rows")
                for name, one in told.items():
                    if number:  # the first round warms up the disk
                        seconds[name].append(one)
            found[NAMES[kind]] = summarize(names, seconds, file.stat().st_size)
    return found


def summarize(names: tuple[str, ...], seconds: dict[str, list[dict]], size: int) -> dict:
    of_rounds = zip(seconds[names[0]], seconds[names[1]], strict=True)
    return {
        "bytes": size,
        "contenders": {
            name: {part: spread([one[part] for one in rounds]) for part in ("read", "process")}
            for name, rounds in seconds.items()
        },
        "ratio": spread([own["process"] / other["process"] for own, other in of_rounds]),
    }


def spread(found: list[float]) -> dict:
    return {"lowest": min(found), "median": median(found), "highest": max(found), "rounds": found}


def run(name: str, file: Path) -> dict:
    """What a process of its own tells: its CPU seconds, and a digest of the rows."""
    with tempfile.TemporaryDirectory() as cache:
        ended = subprocess.run(
            [sys.executable, __file__, "--read", name, str(file)],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": cache},
        )
    if ended.returncode:
        sys.exit(f"{name} did not read {file.name}:\n{ended.stderr}")
    return json.loads(ended.stdout.splitlines()[-1])


# The rows


def make_rows(count: int) -> list[tuple[str, str]]:
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(3000)]
    return [
        (" ".join(draw.choices(words, k=draw.randint(5, 35))), draw.choice(("good", "bad", "so so")))
        for _ in range(count)
    ]


def write(kind: str, file: Path, rows: list[tuple[str, str]]) -> None:
    if kind == "csv":
        with file.open("w", newline="", encoding="utf-8") as lines:
            csv.writer(lines).writerows([("text", "label"), *rows])
    elif kind == "jsonl":
        with file.open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    elif kind == "json":
        file.write_text(json.dumps([make_task(number, *row) for number, row in enumerate(rows)]), encoding="utf-8")
    else:
        from openpyxl import Workbook

        book = Workbook(write_only=True)
        sheet = book.create_sheet("rows")
        for row in [("text", "label"), *rows]:
            sheet.append(row)
        book.save(file)


def make_task(number: int, text: str, label: str) -> dict:
    """A task as Label Studio exports it, with all that it says about one annotation."""
    moment = {"created_at": "2026-01-05T10:00:00.000000Z", "updated_at": "2026-01-05T10:00:04.000000Z"}
    choice = {"type": "choices", "value": {"choices": [label]}, "from_name": "label", "to_name": "text"}
    annotation = {
        **{"id": number, "completed_by": 1, "result": [{"id": f"{number:010d}", "origin": "manual", **choice}]},
        **{"was_cancelled": False, "ground_truth": False, "lead_time": 4.0, "prediction": {}, "project": 1, **moment},
    }
    about = {"id": number, "drafts": [], "predictions": [], "meta": {}, "inner_id": number, "total_annotations": 1}
    return {**about, "annotations": [annotation], "data": {"text": text}, **moment}


# In the process that is measured


def read(name: str, place: str) -> None:
    """Read the file as a contender does, and print what it took."""
    file = Path(place)
    reader = READERS[name]
    began, rows = reader(file)
    ended = time.process_time()
    import hashlib

    digest = hashlib.blake2b(json.dumps([rows["text"][:], rows["label"][:]]).encode(), digest_size=8).hexdigest()
    print(json.dumps({"read": ended - began, "process": ended, "digest": digest}))


def read_with_hfkit(file: Path):
    from hfkit.data.files import TEXT_TABLES, read_splits
    from hfkit.data.source import Source

    began = time.process_time()
    return began, read_splits(Source(str(file)), kinds=TEXT_TABLES)["train"]


def read_csv_with_pandas(file: Path):
    import pandas
    from datasets import Dataset

    began = time.process_time()
    return began, Dataset.from_pandas(pandas.read_csv(file, dtype=str, keep_default_na=False))


def read_lines_with_datasets(file: Path):
    from datasets import load_dataset

    began = time.process_time()
    return began, load_dataset("json", data_files=str(file), split="train")


def read_tasks_with_a_loop(file: Path):
    from datasets import Dataset

    began = time.process_time()
    tasks = json.loads(file.read_text(encoding="utf-8"))
    labels = [task["annotations"][0]["result"][0]["value"]["choices"][0] for task in tasks]
    return began, Dataset.from_dict({"text": [task["data"]["text"] for task in tasks], "label": labels})


def read_workbook_with_pandas(file: Path, engine: str):
    import pandas
    from datasets import Dataset

    began = time.process_time()
    return began, Dataset.from_pandas(pandas.read_excel(file, dtype=str, keep_default_na=False, engine=engine))


READERS = {
    "hfkit": read_with_hfkit,
    "pandas": read_csv_with_pandas,
    "datasets": read_lines_with_datasets,
    "json and a loop": read_tasks_with_a_loop,
    "pandas with calamine": lambda file: read_workbook_with_pandas(file, "calamine"),
    "pandas with openpyxl": lambda file: read_workbook_with_pandas(file, "openpyxl"),
}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
