"""places: odd names, terminals without Unicode, missing permissions, a working folder that is gone."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import Job, flags, make_empty, prepare
from benchmarks.reliability.powers import give_up_powers

LIMIT = 120  # seconds
NO_UTF8 = os.fsdecode(b"a\xffb")
PATTERNS = ["a[b]c", "a[b", "a]b", "a*b", "a?b", "$HOME", "${HOME}", "a$b", "{a,b}", "a::b", "~", "~root", "http:"]
BLANKS = ["a b", " lead", "trail ", "a\nb", "a\tb"]
LETTERS = ["u\u0308n", "\u65e5\u672c", "\u202eabc", "\U0001f600", NO_UTF8, "x" * 200, "a" * 64 + "/" + "b" * 200]
SIGNS = ["%41", "%s%d", "a;b", "a'b\"", "a\\b", "a#b", "a!b", "a|b", "a+b(c)^.", "a=b", "-x", "--dataset", "a&b", "<b>"]
SIGNS += ["[link](http:x)", "\x1b[31mred", ".hidden", "__x__", "con", "file:x"]
ROWS = [{"text": f"anna likes rain {number}", "label": ("good", "bad")[number % 2]} for number in range(60)]
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}


def fares_well(job: Job, place: Path) -> bool:
    return job.code == 0 and not job.has_traceback


def names(*words: str) -> Callable[[Job, Path], bool]:
    """Whether a run is refused with these words, and blames no file that is whole."""

    def is_named(job: Job, place: Path) -> bool:
        said = all(word in job.error for word in words)
        return job.code == 2 and said and not job.has_traceback and "is whole" not in job.error

    return is_named


@dataclass(frozen=True)
class Place:
    """A run in an unusual place."""

    name: str
    argv: Callable[[Path], list[str]]  # of the case's own folder
    make: Callable[[Path], object] = lambda place: None
    ends: Callable[[Job, Path], bool] = fares_well
    before: Callable[[], object] = lambda: None
    env: dict[str, str] = field(default_factory=dict)


def run(work: Path) -> list[Case]:
    prepare(work)
    cases, place, saved = Cases("places", work), work / "places", work / "places-saved"
    if not (saved / "report.json").is_file():
        harness.run(train(work, "--output_dir", str(make_empty(saved))), work / "places.txt", LIMIT)
    for one in list_places(work, saved):
        name = ascii(one.name)[1:-1]
        if cases.has(name):
            continue
        one.make(make_empty(place))
        job = harness.run(
            one.argv(place), work / "places.txt", LIMIT, cwd=place, before=one.before, env={**os.environ, **one.env}
        )
        cases.add(name, one.ends(job, place), ascii(job.verdict)[1:-1])
        os.system(f"chmod -R u+rwX '{place}'")
    shutil.rmtree(place, ignore_errors=True)
    return cases


def train(work: Path, *more: str) -> list[str]:
    return flags("reviews", work, "--max_steps", "1", "--baseline", "majority", "--output_dir", "out", *more)


def list_places(work: Path, saved: Path) -> Iterator[Place]:
    yield from list_datasets()
    yield from list_runs(work, saved)
    yield from list_terminals(work, saved)
    yield from list_permissions(work, saved)
    yield from list_lost_folders(work)


def list_datasets() -> Iterator[Place]:
    """A file of rows below a folder of each name, found and read as that file and no other."""
    for name in (*PATTERNS, *BLANKS, *LETTERS, *SIGNS):
        for suffix in (".jsonl", ".parquet"):
            yield Place(
                f"rows{suffix} below '{name}'",
                lambda place, name=name, suffix=suffix: look(place / name / f"rows{suffix}"),
                lambda place, name=name, suffix=suffix: write_rows(place / name / f"rows{suffix}"),
            )
        if len(name) < 250:
            yield Place(
                f"'{name}.csv'",
                lambda place, name=name: look(place / f"{name}.csv"),
                lambda place, name=name: write_rows(place / f"{name}.csv"),
            )


def look(path: Path) -> list[str]:
    return ["hfkit", "doctor", "--task", "text-classification", "--dataset", str(path)]


def write_rows(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # pyarrow takes no path that is no UTF-8
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(ROWS), file)
        elif path.suffix == ".csv":
            file.write("\n".join(["text,label", *(f"{row['text']},{row['label']}" for row in ROWS)]).encode())
        else:
            file.write("".join(json.dumps(row) + "\n" for row in ROWS).encode())
    return path


def list_runs(work: Path, saved: Path) -> Iterator[Place]:
    """Models, pictures, results and predictions in folders of these names."""
    for name in ("a[b]c", "$HOME", "a\nb", " x ", "u\u0308n", "%s", "x" * 200, "~", "a b", NO_UTF8):
        as_it_should = names("no UTF-8") if name == NO_UTF8 else fares_well
        yield Place(
            f"--output_dir '{name}'",
            lambda place, name=name: train(work, "--output_dir", str(place / name)),
            ends=as_it_should,
        )
        yield Place(
            f"--checkpoint '{name}'",
            lambda place, name=name: train(work, "--checkpoint", str(place / name)),
            lambda place, name=name: shutil.copytree(work / "material/bert", place / name),
            as_it_should,
        )
        yield Place(
            f"pictures in '{name}'",
            lambda place, name=name: flags(
                *("images", work, "--output_dir", "out", "--max_steps", "1", "--dataset", str(place / name))
            ),
            lambda place, name=name: shutil.copytree(work / "material/images", place / name),
            as_it_should,
        )
        yield Place(
            f"predict from and to '{name}'",
            lambda place, name=name: [
                *("hfkit", "predict", str(saved), str(place / name / "rows.jsonl")),
                *("--output", str(place / name / "answers.jsonl")),
            ],
            lambda place, name=name: write_rows(place / name / "rows.jsonl"),
            lambda job, place, name=name: fares_well(job, place) and (place / name / "answers.jsonl").is_file(),
        )


def list_terminals(work: Path, saved: Path) -> Iterator[Place]:
    """Terminals whose encoding is ASCII, and words that no encoding has."""
    commands = {
        "training": lambda place: train(work),
        "predict": lambda place: ["hfkit", "predict", str(saved), "--text", "na\u00efve \u65e5\u672c"],
        "predict CSV": lambda place: ["hfkit", "predict", str(saved), "--text", "na\u00efve", "--format", "csv"],
        "report --json": lambda place: ["hfkit", "report", str(saved), "--json"],
        "plan": lambda place: ["hfkit", "plan", "--checkpoint", str(work / "material/bert")],
        "help": lambda place: ["hfkit", "--help"],
        "doctor": lambda place: look(work / "material/reviews"),
    }
    for name, argv in commands.items():
        yield Place(f"ASCII: {name}", argv, env=ASCII, before=write_ascii)
    missing = names("there is no such file")
    for name, before, env in (("\u65e5\u672c.jsonl", write_ascii, ASCII), (f"{NO_UTF8}.jsonl", lambda: None, {})):
        argv = ["hfkit", "predict", str(saved), name]
        yield Place(f"error about '{name}'", lambda place, argv=argv: argv, ends=missing, before=before, env=env)
    refused = names("error:")
    yield Place("a flag that is no UTF-8", lambda place: train(work, "--text_column", NO_UTF8), ends=refused)


def write_ascii() -> None:
    """Let this process write as under LC_ALL=C: the harness has opened its streams already."""
    import sys

    sys.stdout.reconfigure(encoding="ascii", errors="strict")
    sys.stderr.reconfigure(encoding="ascii", errors="backslashreplace")


def list_permissions(work: Path, saved: Path) -> Iterator[Place]:
    """What may not be read or written is named as that."""
    forbidden = names("permission is missing")

    def forbid(place: Path, mode: int = 0) -> None:
        place.chmod(mode)

    yield Place(
        "a file that may not be read",
        lambda place: train(work, "--dataset", str(place / "rows.jsonl")),
        lambda place: forbid(write_rows(place / "rows.jsonl")),
        forbidden,
        give_up_powers,
    )
    yield Place(
        "a file below a folder that may not be read",
        lambda place: train(work, "--dataset", str(place / "rows/train.jsonl")),
        lambda place: forbid(write_rows(place / "rows/train.jsonl").parent),
        forbidden,
        give_up_powers,
    )
    yield Place(
        "a folder that may not be read",
        lambda place: train(work, "--dataset", str(place / "rows")),
        lambda place: forbid(write_rows(place / "rows/train.jsonl").parent),
        names("Permission denied"),
        give_up_powers,
    )
    for suffix in (".jsonl", ".parquet"):
        yield Place(
            f"a cache of datasets that may not be written, {suffix}",
            lambda place, suffix=suffix: train(work, "--dataset", str(place / f"rows{suffix}")),
            lambda place, suffix=suffix: (
                write_rows(place / f"rows{suffix}"), (place / "cache").mkdir(), forbid(place / "cache", 0o555)
            ),
            lambda job, place: fares_well(job, place) or names("cache of datasets cannot be written")(job, place),
            lose_cache,
        )  # fmt: skip
    commands = {
        "training": lambda place: train(work, "--output_dir", str(place / "closed/out")),
        "predict": lambda place: ["hfkit", "predict", str(saved), "--text", "a", "-o", str(place / "closed/o.jsonl")],
        "evaluate": lambda place: [
            *("hfkit", "evaluate", str(saved), "--dataset", str(work / "material/reviews")),
            *("--output_dir", str(place / "closed/again")),
        ],
    }
    for name, argv in commands.items():
        yield Place(
            f"{name}, a folder that may not be written",
            argv,
            lambda place: ((place / "closed").mkdir(), forbid(place / "closed", 0o555)),
            names("closed"),
            give_up_powers,
        )


def lose_cache() -> None:
    """Let the cache of datasets lie where it may not be written."""
    from datasets import config

    config.HF_DATASETS_CACHE = Path.cwd() / "cache/datasets"
    give_up_powers()


def list_lost_folders(work: Path) -> Iterator[Place]:
    """The working folder is deleted before the command begins."""

    def leave() -> None:
        place = Path.cwd() / "lost"
        place.mkdir()
        os.chdir(place)
        place.rmdir()

    deleted = names("the folder that the command runs in has been deleted")
    for suffix in (".jsonl", ".parquet"):
        yield Place(
            f"a deleted working folder, absolute paths, {suffix}",
            lambda place, suffix=suffix: train(
                work, "--dataset", str(place / f"rows{suffix}"), "--output_dir", str(place / "out")
            ),
            lambda place, suffix=suffix: write_rows(place / f"rows{suffix}"),
            # `datasets` asks for the working folder even where no path begins there.
            lambda job, place: fares_well(job, place) or deleted(job, place),
            leave,
        )
        yield Place(
            f"a deleted working folder, relative paths, {suffix}",
            lambda place, suffix=suffix: train(work, "--dataset", f"../rows{suffix}"),
            lambda place, suffix=suffix: write_rows(place / f"rows{suffix}"),
            deleted,
            leave,
        )
