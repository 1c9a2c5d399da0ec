"""T11: secrets in the environment, flags, rows, labels and names stand in no page, record or log, and in no push."""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import Job, flags, make_empty

# Variables of the environment; their values look like nothing, and are known by the variables' names.
VARIABLES = (
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("GITHUB_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SLACK_BOT_TOKEN", "DATABASE_PASSWORD"),
    *("AZURE_STORAGE_ACCOUNT_KEY", "CLEARML_API_SECRET_KEY", "COMET_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MY_SECRET"),
)
PAGES = (
    "report.json",
    "report.md",
    "report.html",
    "README.md",
    "ledger.json",
    "ledger.md",
    "ledger.html",
    "index.html",
)
RANK = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0}  # `compare` then runs its cells in its own process


def token(name: str) -> str:
    """A made-up token of the Hub, different for every name, in a form that scanners of sources do not know."""
    letters = re.sub("[^A-Za-z]", "", name) * 30
    return "hf_" + letters[:30] + f"{len(name):04d}"


def opaque(name: str) -> str:
    """A made-up secret that looks like nothing."""
    return (
        "".join(reversed(re.sub("[^a-z]", "", name.lower()))) + "-" + "-".join(str(ord(letter)) for letter in name[:4])
    )


def run(work: Path) -> list[Case]:
    harness.prepare(work)
    cases, place = Cases("T11", work), work / "T11"
    for group in (plant_everywhere, plant_in_labels, plant_in_names, plant_in_errors, plant_in_places):
        group(work, place, cases)
    return cases


def find(secret: str, jobs: Iterable[Job], folders: Iterable[Path], names: Iterable[str] = ()) -> list[str]:
    """Where a secret stands: in what was printed, and in files, by their names; also packed, and as pages write it.

    Args:
        names: those of the files to look into; () for all.
    """
    forms = {secret, secret.replace("_", "\\_"), json.dumps(secret)[1:-1], quote(secret, safe="")}
    found = ["what was printed" for job in jobs if any(form in job.text for form in forms)]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if any(form in path.name for form in forms):
                found.append(f"the name {path.name.replace(secret, 'SECRET')}")
            if path.is_file() and (not names or path.name in names) and holds(path.read_bytes(), forms):
                found.append(path.name)
    return sorted(set(found))


def holds(content: bytes, forms: Iterable[str]) -> bool:
    """Whether some bytes, or what is packed in them, hold a text."""
    if any(form.encode() in content for form in forms):
        return True
    if not content.startswith(b"PK\3\4"):
        return False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return any(holds(archive.read(name), forms) for name in archive.namelist())


def judge(cases: Cases, case: str, found: list[str], jobs: Iterable[Job]) -> None:
    if cases.has(case):  # its neighbours were cut off, and are planted with it
        return
    codes = ", ".join(str(job.code) for job in jobs)
    broken = any(job.has_traceback or job.code == "timeout" for job in jobs)
    where = f"found in {', '.join(found)}" if found else "nowhere"
    cases.add(case, not found and not broken, f"{where}; exit codes {codes}")


def write_rows(file: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def make_rows(count: int = 60) -> Iterator[dict]:
    for number in range(count):
        yield {"text": f"anna saw rain {number}", "label": ("good", "bad")[number % 2]}


# Everything at once, through every command that writes


def plant_everywhere(work: Path, place: Path, cases: Cases) -> None:
    """All secrets that no command refuses: what they leave is searched for each of them."""
    planted = {f"variable {name}": opaque(name) for name in VARIABLES}
    planted |= {name: opaque(name) for name in ("password in netrc", "token of hf auth login")}
    in_flags = ("flag hub_token", "flag run_name", "flag label_texts", "flag hub_token in YAML")
    in_rows = ("text of a row", "another column of a row", "name of another column")
    planted |= {name: token(name) for name in (*in_flags, *in_rows)}
    planted["address with a password in a row"] = "http://ada:" + "correct-horse-7@proxy.example"
    if all(cases.has(f"{name}, in what all commands write") for name in planted):
        return
    make_empty(place)
    jobs = list(run_commands(work, place, planted))
    folders = [place / "out", place / "compared"]
    for name, secret in planted.items():
        judge(cases, f"{name}, in what all commands write", find(secret, jobs, folders), jobs)


def run_commands(work: Path, place: Path, planted: Mapping[str, str]) -> Iterator[Job]:
    """Train, judge, compare, look at the rows, write the pages again, and push, with secrets everywhere."""
    own = [planted[f"variable {name}"] for name in VARIABLES]
    own += [planted["password in netrc"], planted["token of hf auth login"]]
    rows = []
    for number, row in enumerate(make_rows()):
        said = [own[number % len(own)], planted["text of a row"], planted["address with a password in a row"]]
        row["text"] = f"{row['text']} {said[number % 3] if number % 2 else ' '.join(said)}"
        rows.append(row | {"note": planted["another column of a row"], planted["name of another column"]: number})
    data = write_rows(place / "rows.jsonl", rows)
    out, home = place / "out", place / "home"
    home.mkdir()
    (home / ".netrc").write_text(f"machine tracker.example\n login ada\n password {planted['password in netrc']}\n")
    (home / ".netrc").chmod(0o600)
    login = work / "hf_home/token"
    login.write_text(planted["token of hf auth login"])
    env = {name: planted[f"variable {name}"] for name in VARIABLES} | {"HOME": str(home)}
    config = place / "job.yaml"
    config.write_text(f"hub_token: {planted['flag hub_token in YAML']}\n")
    more = ["--dataset", str(data), "--num_train_epochs", "1", "--run_name", planted["flag run_name"]]
    named = json.dumps({"good": planted["flag label_texts"], "bad": "poor"})
    recipe, *given = flags("reviews", work, *more, "--label_texts", named)
    kept = ["--output_dir", str(out), "--save_strategy", "epoch", "--eval_strategy", "epoch"]
    compared = ["--strategies", "full", "--seeds", "0", "--compare_dir", str(place / "compared")]
    commands = {
        "train": [recipe, *given, *kept, "--hub_token", planted["flag hub_token"]],
        "train by YAML": [recipe, *given, *kept, "--config", str(config), "--output_dir", str(out / "again")],
        "evaluate": ["hfkit", "evaluate", str(out), "--dataset", str(data), "--output_dir", str(out / "judged")],
        "compare": ["hfkit", "compare", "--recipe", recipe, *given, *compared],
        "doctor": ["hfkit", "doctor", "--task", "text-classification", "--dataset", str(data)],
        "doctor as JSON": ["hfkit", "doctor", "--json", "--task", "text-classification", "--dataset", str(data)],
        "report": ["hfkit", "report", str(out)],
        "card": ["hfkit", "card", "write", str(out)],
        "lint": ["hfkit", "card", "lint", str(out)],
        "push": ["hfkit", "push", str(out), "me/x", "--dry-run"],
    }
    try:
        for name, argv in commands.items():
            print_to = place / f"printed/{name}.txt"
            yield harness.run(argv, print_to, env=env | (RANK if name == "compare" else {}))
    finally:
        login.unlink()


# Labels


def plant_in_labels(work: Path, place: Path, cases: Cases) -> None:
    """A token as a label is withheld in pages, and refused by a push; the model itself has to know its labels."""
    listed = (
        "a label of texts, in report and card",
        "a label of texts, in what is printed",
        "a label of texts, pushed",
    )
    listed += ("a label of texts, compared", "a tag of words, in report and card")
    if all(map(cases.has, listed)):
        return
    make_empty(place)
    label = token("a label")
    rows = [row | {"label": label if row["label"] == "bad" else "good"} for row in make_rows()]
    data = write_rows(place / "rows.jsonl", rows)
    recipe, *given = flags("reviews", work, "--dataset", str(data), "--num_train_epochs", "1")
    train = harness.run([recipe, *given, "--output_dir", str(place / "out")], place / "train.txt")
    judge(cases, listed[0], find(label, [], [place / "out"], PAGES), [train])
    judge(cases, listed[1], find(label, [train], []), [train])
    push = harness.run(["hfkit", "push", str(place / "out"), "me/x", "--dry-run"], place / "push.txt")
    if not cases.has(listed[2]):
        found = find(label, [push], [])
        cases.add(listed[2], push.code == 2 and not found and "looks like a secret" in push.text, push.verdict)
    compared = ["--strategies", "full", "--seeds", "0", "--compare_dir", str(place / "compared")]
    job = harness.run(["hfkit", "compare", "--recipe", recipe, *given, *compared], place / "compare.txt", env=RANK)
    judge(cases, listed[3], find(label, [job], [place / "compared"], PAGES), [job])
    tagged = [{"tokens": ["anna", "saw", "rain", str(n)], "tags": [f"B-{label}", "O", "O", "O"]} for n in range(60)]
    data = write_rows(place / "words.jsonl", tagged)
    more = ["--dataset", str(data), "--num_train_epochs", "1", "--output_dir", str(place / "tagged")]
    job = harness.run(flags("ner", work, *more), place / "tag.txt")
    judge(cases, listed[4], find(label, [job], [place / "tagged"], PAGES), [job])


# Names of places


def plant_in_names(work: Path, place: Path, cases: Cases) -> None:
    """A token in the name of a place is refused at once, and not repeated: it would stand in records and cells."""
    secret = token("a place")
    make_empty(place)
    data = write_rows(place / f"{secret}/rows.jsonl", make_rows())
    out = str(place / "out")
    given = {
        "dataset": ["--dataset", str(data)],
        "output_dir": ["--output_dir", f"{out}-{secret}"],
        "cache_dir": ["--cache_dir", f"{out}-{secret}"],
        "features_dir": ["--features_dir", f"{out}-{secret}"],
        "checkpoint": ["--checkpoint", f"{place}/{secret}"],
        "prompt_checkpoint": ["--prompt_checkpoint", f"{place}/{secret}"],
        "resume_from_checkpoint": ["--resume_from_checkpoint", f"{place}/{secret}"],
        "split_file": ["--split_file", f"{place}/{secret}.json"],
    }
    for name, more in given.items():
        if not cases.has(case := f"the name of --{name}"):
            job = harness.run(flags("reviews", work, "--output_dir", out, *more), place / "out.txt")
            found = find(secret, [job], [place / "out"])
            cases.add(case, job.code == 2 and not found and not job.has_traceback, f"{job.verdict}; {found}")
    commands = {
        "compare_dir": ["compare", "--recipe", harness.REVIEWS, "--compare_dir", f"{out}-{secret}"],
        "other_tests": ["compare", "--recipe", harness.REVIEWS, "--other_tests", str(data)],
    }
    for name, argv in commands.items():
        if not cases.has(case := f"the name of --{name}"):
            job = harness.run(["hfkit", *argv], place / "out.txt", env=RANK)
            found = find(secret, [job], [place / "out"])
            cases.add(case, job.code == 2 and not found and not job.has_traceback, f"{job.verdict}; {found}")


def plant_in_places(work: Path, place: Path, cases: Cases) -> None:
    """A token in the path of the working folder, to which the given paths are relative."""
    if cases.has(case := "the working folder's name"):
        return
    secret = token("a folder")
    here = make_empty(place) / secret
    write_rows(here / "rows.jsonl", make_rows())
    more = ["--dataset", "rows.jsonl", "--num_train_epochs", "1", "--output_dir", "out"]
    more += ["--save_strategy", "epoch", "--eval_strategy", "epoch", "--cache_dir", "store"]
    train = harness.run(flags("reviews", work, *more), place / "train.txt", cwd=here)
    push = harness.run(["hfkit", "push", "out", "me/x", "--dry-run"], place / "push.txt", cwd=here)
    judge(cases, case, find(secret, [train, push], [here / "out"]), [train, push])


# Errors


def plant_in_errors(work: Path, place: Path, cases: Cases) -> None:
    """What an error quotes holds no secret: errors are kept in logs, and pasted into reports of faults."""
    secret = token("a quoted cell")
    make_empty(place)
    rows = list(make_rows())
    given = {
        "a cell": ([*rows[:-1], {"text": "a", "label": [secret, {}]}], []),
        "a cell that is no number": (
            [row | {"label": 1.5} for row in rows] + [{"text": "a", "label": secret}],
            REGRESSION,
        ),
        "the name of a column": ([{secret: row["text"], f"{secret}2": row["label"]} for row in rows], []),
        "a flag": (rows, ["--text_column", secret]),
        "a flag's choice": (rows, ["--strategy", secret]),
        "a flag that is none": (rows, [f"--{secret}", "1"]),
        "an address with a password": (rows, ["--dataset", "https://ada:correct-horse-7@h.example/rows.csv"]),
        "a signed address": (rows, ["--dataset", f"https://h.example/rows.csv?signature={secret}"]),
    }
    for name, (written, more) in given.items():
        if not cases.has(case := f"an error that quotes {name}"):
            data = write_rows(place / "rows.jsonl", written)
            argv = flags("reviews", work, "--dataset", str(data), "--output_dir", str(place / "out"), *more)
            job = harness.run(argv, place / "out.txt")
            found = [where for one in (secret, "correct-horse-7") for where in find(one, [job], [])]
            # Columns may be understood by what they hold, and are then told.
            codes = (0, 2) if name == "the name of a column" else (2,)
            good = job.code in codes and not found and not job.has_traceback
            cases.add(case, good, f"{job.verdict.replace(secret, 'SECRET')}; {', '.join(found) or 'nowhere'}")


REGRESSION = ["--problem", "regression"]
