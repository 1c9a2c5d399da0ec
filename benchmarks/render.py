"""Renders the tables of README and docs, and the model cards, from benchmarks/results/*.json and the package.

    python benchmarks/render.py           # write them
    python benchmarks/render.py --check   # exit 1 if a file is not what this would write

The backbone families are those of hfkit/model/families.py, and tests/recipes/test_families.py proves each of them.

The card model_cards/NAME.md comes from report_NAME.json, the report.json of a recipe's run.

A table stands between <!-- results:bert_ner:begin --> and <!-- results:bert_ner:end --> and comes from every file
bert_ner_*.json; nothing between the two lines is typed. A result file is:

    schema       "hfkit.benchmark/1"
    title, dataset, rows {train, validation, test}, command, machine, versions {package: version}
    contenders   [{name, settings {}, seeds [], note,
                   validation_f1 {mean, std, values} or null, test_f1 {mean, std, values, low, high},
                   train_cpu_seconds {mean, min, max} or null}]
    grid         [{name, learning_rate, seed, validation_f1, test_f1}]: the runs that a setting was chosen from
    comparison   {first, second, difference, low, high}: test F1 of the first above the second; {} for none

Files of the classification benchmark (see collect_classification.py) become the tables of classification_tables.py, and
speed.json and scaling.json (see __main__.py) those of speed_tables.py, and what bucketing.py, input_side.py,
qa_windows.py, reading.py and startup.py write those of input_tables.py. What coverage.py and fold_coverage.py write
becomes those of coverage_tables.py. Ledgers (ledgers.py, claims.py, false_claims.py) become those of ledger_tables.py,
what architectures.py writes the one of architecture_tables.py, what real.py writes that of real_tables.py, and
tuning.py that of tuning_tables.py. The tests in reliability/, mutants.py and sealing.py become those of
reliability_tables.py, and what frozen_places.py, annotated_input.py and dicom_files.py write those of
picture_tables.py.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from hfkit.arguments.strategies import STRATEGIES
from hfkit.hub.card import render_card
from hfkit.model.families import FAMILIES
from hfkit.report.pages import interval_text, markdown_text, score_text, signed_text
from hfkit.tasks import TASKS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"
CARDS = ROOT / "model_cards"
SECTION = re.compile(r"(?P<begin><!-- (?P<name>[\w:]+):begin -->\n).*?(?P<end><!-- (?P=name):end -->)", re.DOTALL)
NOTHING = "–"


def main() -> None:
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    check = parser.parse_args().check
    stale = {path: text for path, text in rendered().items() if not path.is_file() or path.read_text("utf-8") != text}
    if check and stale:
        sys.exit(f"{', '.join(path.name for path in stale)}: stale; run python benchmarks/render.py")
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")


def rendered() -> dict[Path, str]:
    """Every file that is written from results, as it should be."""
    cards = {
        CARDS / f"{path.stem.removeprefix('report_')}.md": render_card(json.loads(path.read_text("utf-8")))
        for path in sorted(RESULTS.glob("report_*.json"))
    }
    return {path: render(path.read_text("utf-8"), RESULTS) for path in (README, *sorted(DOCS.glob("*.md")))} | cards


def render(page: str, results: Path) -> str:
    """`page` with every section between markers written anew."""
    return SECTION.sub(lambda found: found["begin"] + section(found["name"], results) + "\n" + found["end"], page)


def section(name: str, results: Path) -> str:
    kind, _, recipe = name.partition(":")
    if kind == "tasks":
        return tasks_table()
    if kind == "strategies":
        return strategies_table()
    if kind == "families":
        return families_table()
    if kind != "results":
        raise ValueError(f"a page marks a section '{name}', and there is no such table")
    recipe, _, part = recipe.partition(":")
    if recipe in ("ledgers", "asked"):
        from benchmarks.ledger_tables import asked_table, ledgers_table

        asked = set((results / "ledgers").glob("asked_*.json"))
        pages = sorted(asked if recipe == "asked" else set((results / "ledgers").glob("*.json")) - asked)
        ledgers = {path: json.loads(path.read_text(encoding="utf-8")) for path in pages}
        table = asked_table if recipe == "asked" else ledgers_table
        return table(ledgers) if ledgers else "No ledger yet."
    files = sorted(results.glob(f"{recipe}_*.json")) or sorted(results.glob(f"{recipe}.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    if not found:
        return f"No result file yet (`benchmarks/results/{recipe}_*.json`)."
    # Not above: started as a program, this file's own folder is all that can be imported from.
    from benchmarks.classification_tables import classification_table, gain_table, image_input_table
    from benchmarks.coverage_tables import coverage_table, fold_coverage_table
    from benchmarks.input_tables import (
        bucketing_table,
        cached_heads_table,
        generation_table,
        input_side_table,
        packing_table,
        qa_windows_table,
        reading_table,
        startup_table,
        unpadding_table,
    )
    from benchmarks.speed_tables import scaling_table, speed_table

    if recipe == "classification":
        return classification_table(found, part)
    if recipe == "gain":
        return gain_table(found)
    if recipe == "real":
        from benchmarks.real_tables import real_table

        return real_table(found)
    from benchmarks.architecture_tables import architectures_table
    from benchmarks.ledger_tables import claims_table, false_claims_table
    from benchmarks.picture_tables import annotated_input_table, dicom_files_text, frozen_places_table
    from benchmarks.prompting_tables import prompting_table
    from benchmarks.rate_tables import rate_range_table
    from benchmarks.reliability_tables import mutants_line, reliability_table, sealing_line
    from benchmarks.suite.tables import suite_line, suite_table
    from benchmarks.tuning_tables import tuning_table

    of_one_file = {
        "architectures": architectures_table,
        "coverage": coverage_table,
        "fold_coverage": fold_coverage_table,
        "tuning": tuning_table,
        "ledgers_claims": claims_table,
        "false_claims": false_claims_table,
        "prompting": prompting_table,
        "rate_range": rate_range_table,
        "image_input": image_input_table,
        "annotated_input": annotated_input_table,
        "dicom_files": dicom_files_text,
        "frozen_places": frozen_places_table,
        "speed": speed_table,
        "scaling": scaling_table,
        "reading": reading_table,
        "startup": startup_table,
        "bucketing": bucketing_table,
        "input_side": input_side_table,
        "qa_windows": qa_windows_table,
        "generation": generation_table,
        "packing": packing_table,
        "cached_heads": cached_heads_table,
        "unpadding": unpadding_table,
        "reliability": reliability_table,
        "mutants": mutants_line,
        "sealing": sealing_line,
        "suite": suite_line if part == "line" else suite_table,
    }
    if recipe in of_one_file:
        return of_one_file[recipe](found[0])
    return "\n\n".join(map(results_table, found))


def tasks_table() -> str:
    """Each task with the recipes that import it, and the score that decides."""
    lines = ["| task | its rows | recipes | judged by |", "|---|---|---|---|"]
    recipes = {path: path.read_text("utf-8") for path in sorted((ROOT / "recipes").glob("*.py"))}
    for task in TASKS:
        imported = f"from hfkit.tasks import {task.__name__}\n"
        names = ", ".join(f"`{path.name}`" for path, text in recipes.items() if imported in text)
        score = task().judge.headline
        direction = "" if score.sign > 0 else " (lower is better)"
        rows = markdown_text(task.__doc__.splitlines()[0].removesuffix("."))
        lines.append(f"| `{task.key}` | {rows} | {names} | {score.title}{direction} |")
    return "\n".join(lines)


def strategies_table() -> str:
    rows = [f"| `{name}` | {markdown_text(strategy.summary)} |" for name, strategy in STRATEGIES.items()]
    return "\n".join(["| `--strategy` | what learns, and when |", "|---|---|", *rows])


def families_table() -> str:
    rows = [
        f"| {family.name} | {family.modality} | `{family.model_class}` | {family.depths} | {family.note or NOTHING} |"
        for family in FAMILIES
    ]
    return "\n".join(
        [
            "| family | reads | loaded as | depths between embeddings or stem and head | note |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def results_table(result: dict) -> str:
    """One result file as a titled table, with what was compared, how it was chosen and where it ran."""
    if result["schema"] != "hfkit.benchmark/1":
        raise ValueError(f"{result['title']}: this renders hfkit.benchmark/1 and not {result['schema']}")
    rows = " / ".join(f"{result['rows'][split]:,}" for split in ("train", "validation", "test"))
    lines = [
        f"**{markdown_text(result['title'])}** ({rows} rows)",
        "",
        "| contender | seeds | validation F1 | test F1 [95 % interval] | training CPU s |",
        "|---|---|---|---|---:|",
        *(contender_row(contender) for contender in result["contenders"]),
        "",
    ]
    if comparison := result["comparison"]:
        lines += [
            f"{markdown_text(comparison['first'])} against {markdown_text(comparison['second'])}:"
            f" {signed_text(comparison['difference'])} test F1 {interval_text(comparison)}.",
            "",
        ]
    notes = [f"- {contender['name']}: {contender['note']}" for contender in result["contenders"] if contender["note"]]
    if notes:
        lines += [*map(markdown_text, notes), ""]
    place = [result["machine"], *(f"{package} {version}" for package, version in result["versions"].items())]
    lines.append(f"Measured by `{result['command']}` on {markdown_text(', '.join(place))}.")
    return "\n".join(lines)


def contender_row(contender: dict) -> str:
    validation, test, seconds = (contender[key] for key in ("validation_f1", "test_f1", "train_cpu_seconds"))
    cells = [
        markdown_text(contender["name"]),
        ", ".join(map(str, contender["seeds"])) or NOTHING,
        spread(validation) if validation else NOTHING,
        f"{spread(test)} {interval_text(test)}",
        f"{seconds['mean']:,.0f}" if seconds else NOTHING,
    ]
    return f"| {' | '.join(cells)} |"


def spread(score: dict) -> str:
    """A mean over seeds with its standard deviation; one seed has none."""
    return score_text(score["mean"]) + (f" ± {score_text(score['std'])}" if len(score["values"]) > 1 else "")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # the families are listed in tests/, and other packages may install a `tests`
    main()
