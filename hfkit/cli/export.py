"""`hfkit export`: a saved model as an ONNX graph."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hfkit.runtime.commands import ANEW, run


class Quantize(StrEnum):
    """The precision of the weights."""

    none = "none"
    int8 = "int8"


def export(
    model: Annotated[str, typer.Argument(help="the output_dir of a run, any folder with a model, or a Hub id")],
    output_dir: Annotated[
        Path | None,
        typer.Option("--output_dir", help="default: onnx or onnx-int8 in the model's folder", show_default=False),
    ] = None,
    quantize: Annotated[Quantize, typer.Option(help="int8: weights in 8 bits, a quarter of the size")] = Quantize.none,
    dataset: Annotated[
        str | None,
        typer.Option(help="folder or Hub id with rows to compare on; default: the run's own", show_default=False),
    ] = None,
    opset: Annotated[
        int | None, typer.Option(min=18, help="version of ONNX's operators; default: torch's", show_default=False)
    ] = None,
    revision: Annotated[str | None, typer.Option(help="of a Hub id", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the record, for programs")] = False,
) -> None:
    """Write a fine-tuned model as an ONNX graph that runs without torch and without hfkit.

    The graph takes any number of rows, and texts of any length. Before it is kept, model and graph are asked about the
    same rows: those of the run's test split if its data are on this machine, otherwise the examples of its report, and
    made-up inputs of extreme lengths. Where their logits differ by more than rounding, nothing is written. In 8 bits
    answers do change: how many, and by how much the score on labelled rows, is printed and kept in export.json. An
    earlier export in the same place is replaced.

        hfkit export runs/bert-sentiment
        hfkit export runs/vit-images --output_dir exported/digits --json
        hfkit export runs/bert-ner --quantize int8 --dataset entities

    Exit codes: 0 written; 1 the graph answers otherwise than the model, or something else failed; 2 the model or the
    rows cannot be used, or the packages of hfkit[onnx] are missing; 75 interrupted.
    """
    run(lambda: _export(model, output_dir, quantize, dataset, opset, revision, as_json), ANEW)


def _export(
    model: str,
    output_dir: Path | None,
    quantize: str,
    dataset: str | None,
    opset: int | None,
    revision: str | None,
    as_json: bool,
) -> None:
    from hfkit.inference.export import export as write
    from hfkit.progress import reserve_stdout

    with reserve_stdout() as stdout:
        record = write(model, output_dir, revision=revision, dataset=dataset, quantize=quantize, opset=opset)
    print(json.dumps(record, indent=2) if as_json else _lines(record), file=stdout)


def _lines(record: dict[str, Any]) -> str:
    """The record for people."""
    from hfkit.inference.export.pages import eight_bits

    size = sum(bytes for name, bytes in record["bytes"].items() if name.startswith("model.onnx")) / 1e6
    lines = [f"{record['folder']}: ONNX graph, opset {record['opset']}, {size:,.1f} MB"]
    found = list(record["parity"].items())
    if record["int8"]:
        found.append(("the same rows, in 8 bits", record["int8"]))
    for source, one in found:
        equal = "" if one["equal_predictions"] is None else f", {one['equal_predictions']:.1%} of predictions the same"
        lines.append(
            f"  {source} ({one['rows']} rows): logits up to {one['largest_logit']:.3g} differ by at most"
            f" {one['largest_difference']:.2g}{equal}"
        )
    if record["int8"]:
        lines.append(f"  {eight_bits(record['int8'])}")
    return "\n".join(lines)
