"""`hfkit evaluate`: the report of a saved model on other rows with answers."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hfkit.errors import UserError
from hfkit.runtime.commands import ANEW, run

if TYPE_CHECKING:
    from hfkit.inference.saved import SavedFiles

OWN_FLAGS = ("--dataset", "--split", "--output_dir", "--batch_size", "--task", "--revision", "--json")


def evaluate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="output_dir of a run, any folder with a model, or a Hub id")],
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="file or folder of rows with answers, dataset on the Hub, or sample: needed"),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="the one to judge on; default: test, or the only one")
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output_dir", help="of the report; default: MODEL/evaluation-NAME, runs/evaluate of a Hub id"),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch_size", min=1, help="rows that the model sees at once")] = 32,
    task: Annotated[str | None, typer.Option("--task", help="what the model does, where its files do not say")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="branch, tag or commit of a Hub id")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON and nothing else")] = False,
) -> None:
    """Judge a saved model on rows it has not seen, and write the same report as after training.

    Every flag of the task is accepted too, such as --label_column or --unit_column, and those of the baselines. Columns
    and settings carry over from the training run unless a flag overrides them; its choice of rows does not. Baselines
    learn from the train and validation splits of --dataset, which must be there for them. The run's own report stays
    as it is.

        hfkit evaluate runs/bert-sentiment --dataset reviews/validation.parquet
        hfkit evaluate runs/bert-ner --dataset entities --split validation --json
        hfkit evaluate runs/bert-sentiment --dataset reviews --baseline majority tf-idf --output_dir runs/again

    Exit codes: 0 the report is written; 1 something failed; 2 the model or the rows cannot be read, or do not fit each
    other; 75 interrupted.
    """
    flags = [flag for flag in context.args if flag != "--debug"]
    run(lambda: _evaluate(flags, model, dataset, split, output_dir, batch_size, task, revision, as_json=as_json), ANEW)


def _evaluate(
    flags: list[str],
    place: str,
    dataset: str | None,
    split: str | None,
    output_dir: Path | None,
    batch_size: int,
    name: str | None,
    revision: str | None,
    *,
    as_json: bool,
) -> None:
    from rich.console import Console

    from hfkit.arguments.recipe import RecipeArguments
    from hfkit.baselines import choose_baselines
    from hfkit.cli.report import render_record, summarise
    from hfkit.contract.rows import Only
    from hfkit.data.split_record import FILE as SPLIT_FILE
    from hfkit.data.split_record import load_record
    from hfkit.inference.saved import find_saved
    from hfkit.progress import reserve_stdout
    from hfkit.report.explained import explain_mistakes
    from hfkit.report.report import Report
    from hfkit.runtime.folders import require_writable
    from hfkit.runtime.machine import measure

    with reserve_stdout() as stdout:
        found = find_saved(place, task=name, revision=revision)
        started_from = found.run.get("checkpoint")
        of_run = {"checkpoint": started_from} if isinstance(started_from, str) else {}
        given = of_run if dataset is None else {**of_run, "dataset": dataset}
        recipe, task = found.parse(RecipeArguments, argv=flags, own_flags=OWN_FLAGS, **given)
        if dataset is None:  # not earlier: a misspelt flag is named first
            raise UserError("--dataset", "nothing says which rows to judge on", "Give a file or folder of them")
        rivals = choose_baselines(recipe)
        if rivals and split not in (None, "test"):
            raise UserError(
                f"--split {split} with --baseline", "baselines are judged on the split 'test'", "Leave one of them out"
            )
        folder = output_dir or default_folder(found, dataset, split)
        if folder.resolve() == found.folder.resolve():
            raise UserError(f"output_dir '{folder}'", "the report of the run lies there", "Give another folder")
        if (unit := found.run.get("unit_column")) and task.unit_column is None:
            print(f"The run drew units of '{unit}' for its intervals; here rows are drawn: see --unit_column")
        saved = found.load(task)
        record = load_record(found.folder) if (found.folder / SPLIT_FILE).is_file() else None
        rows = task.rows_to_evaluate(saved.codec.target, None if rivals else Only(split), record, saved.codec)
        require_writable(folder)  # now, rather than when all is computed
        with measure() as cost:
            encoded = saved.encode(rows["test"])
            predictions, likelihoods = saved.predict_encoded(encoded, batch_size=batch_size)
        settings: dict[str, Any] = {**vars(recipe), **vars(task), "checkpoint": place, "revision": revision}
        settings |= {"split": split, "batch_size": batch_size, "output_dir": str(folder)}
        if of_run:
            settings["fine_tuned_from"] = started_from
        report = Report(task, rows, encoded_facts={"test": saved.codec.facts(encoded)}, settings=settings)
        report.add("saved model", predictions, cost=cost)
        report.explain(explain_mistakes(task, saved.codec, saved.model, rows["test"], predictions, likelihoods))
        report.judge(*rivals)
        page = report.save(folder)
        if as_json:
            summary = summarise(folder / "report.json", render_record(folder / "report.json"))
            print(json.dumps(summary, indent=1, ensure_ascii=False), file=stdout)
        else:
            Console(file=stdout).print(report.table())
            print(f"Report: {page}", file=stdout)


def default_folder(found: "SavedFiles", dataset: str, split: str | None) -> Path:
    """The default folder of the report: beside the model, named after the data."""
    if found.folder != Path(found.place).expanduser():
        return Path("runs/evaluate")
    name = Path(dataset).stem or "data"
    return found.folder / "-".join(filter(None, ("evaluation", name, split)))
