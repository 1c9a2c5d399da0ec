"""A fine-tuned model as an ONNX graph, which runs without torch: written only if it answers as the model does."""

import json
import math
from itertools import islice
from pathlib import Path
from typing import Any

from hfkit.errors import UserError
from hfkit.inference.export.pages import render_page, write_snippet
from hfkit.inference.export.parity import (
    MADE_UP,
    Comparison,
    compare,
    encode_material,
    find_material,
    make_extremes,
    refuse_different,
)
from hfkit.inference.saved import SavedModel, load_saved
from hfkit.model.sources import holds_virtual_tokens
from hfkit.runtime.durable import replace_folder
from hfkit.version import __version__

RECORD = "export.json"  # of `transformers.exporters`, which passes over what it does not know
TABLE = "hfkit"  # the key of this module's own part of it
WORTH = 0.25  # of the weights' bytes; 8 bits that save less are not worth changed answers


def export(
    place: str,
    folder: Path | None = None,
    *,
    revision: str | None = None,
    dataset: str | None = None,
    quantize: str = "none",
    opset: int | None = None,
) -> dict[str, Any]:
    """Write a saved model as `model.onnx` with its processor, its record `export.json` and a README, all or nothing.

    Args:
        place: the output_dir of a run, any folder with a model, or a Hub id.
        folder: where to; default: 'onnx' (or 'onnx-int8') in the model's folder, or NAME-onnx for a Hub id.
        dataset: with rows to compare on; default: the run's own if it is on this machine, else the report's examples.
        quantize: 'int8' keeps the weights in 8 bits, and computes the activations' range as it goes.
        opset: version of ONNX's operators; default: torch's choice.

    Returns:
        What was written and how it compares, as in `export.json` under the key `hfkit`.

    Raises:
        UserError: the model or the folder cannot be used, or this architecture cannot be written or made smaller.
        Failure: the graph does not answer as the model does. Nothing is written then.
    """
    require_onnx()
    refuse_unknown(opset)
    from hfkit.inference.export.graph import find_outputs, name_axes, open_graph, to_8_bits, trace, weight_bytes

    saved = load_saved(place, revision=revision)
    refuse_virtual_tokens(saved)
    saved.model.to("cpu")
    folder = default_folder(place, quantize) if folder is None else folder
    refuse_foreign(folder)
    material = find_material(saved, dataset)
    probes = encode_material(saved, make_extremes(saved))
    batch, *others = islice(probes.batches([2, 1]), 2)
    inputs = saved.codec.inputs(batch)
    axes = name_axes(inputs, saved.codec.inputs(others[0] if others else batch))
    graph = trace(saved, inputs, axes, find_outputs(saved, batch), opset)
    with replace_folder(folder) as part:
        graph.save_pretrained(part)
        session = open_graph(part, opset)
        pieces = {MADE_UP: probes, material.source: encode_material(saved, material)}
        whole = {source: compare(piece, session) for source, piece in pieces.items()}
        refuse_different(place, whole)
        record = describe(saved, graph, inputs, probes.widest, whole)
        if quantize == "int8":
            before = weight_bytes(graph)
            graph = to_8_bits(graph, inputs)
            graph.save_pretrained(part)
            refuse_wasted(place, before, weight_bytes(graph))
            smaller = compare(pieces[material.source], open_graph(part, opset))
            refuse_different(place, {material.source: smaller}, most=math.inf)
            weights = {"weight_bytes_before": before, "weight_bytes": weight_bytes(graph)}
            record["int8"] = {**smaller.to_json(), **weights, "score": smaller.measure_gain()}
        saved.codec.processor.save_pretrained(part)
        finish(part, saved, record)
    return {"folder": str(folder), **record}


def refuse_virtual_tokens(saved: SavedModel) -> None:
    """Refuse a model with virtual tokens: they are put before the rows by peft, outside of the model's own pass.

    Raises:
        UserError: naming it.
    """
    if holds_virtual_tokens(saved.folder):
        raise UserError(
            f"model '{saved.place}'",
            "peft puts virtual tokens before its rows, and a graph of that is not proven to answer as it does",
            "Use it through peft, or train with --adapter lora, which is merged into the weights",
        )


def describe(
    saved: SavedModel, graph: Any, inputs: dict[str, Any], longest: int | None, whole: dict[str, Comparison]
) -> dict[str, Any]:
    """The record of an export whose answers are those of the model."""
    component = graph.components["model"]
    return {
        "hfkit": __version__,
        "source": Path(saved.place).name if Path(saved.place).is_dir() else saved.place,
        "task": saved.task.key,
        "tag": saved.task.tag,
        "media": str(saved.task.rows.media),
        "labels": saved.labels,
        "opset": component.program.opset_imports[""],
        "inputs": {value.name: [str(side) for side in value.shape] for value in component.program.graph.inputs},
        "longest": longest,
        "versions": component.metadata.packages,
        "parity": {source: found.to_json() for source, found in whole.items()},
        "int8": None,
    }


def finish(part: Path, saved: SavedModel, record: dict[str, Any]) -> None:
    """Add the record and the README to a folder, and the sizes of its files to the record."""
    files = {path.name: path.stat().st_size for path in sorted(part.iterdir()) if path.name != RECORD}
    record["bytes"] = files
    manifest = json.loads((part / RECORD).read_text(encoding="utf-8"))
    (part / RECORD).write_text(json.dumps({**manifest, TABLE: record}, indent=2) + "\n", encoding="utf-8")
    (part / "README.md").write_text(
        render_page(record, saved.folder, write_snippet(saved.task.view, record)), encoding="utf-8"
    )


def default_folder(place: str, quantize: str) -> Path:
    name = "onnx" if quantize == "none" else f"onnx-{quantize}"
    model = Path(place).expanduser()
    return model / name if model.is_dir() else Path(f"{place.rpartition('/')[2]}-{name}")


def refuse_foreign(folder: Path) -> None:
    """Refuse to replace anything but an earlier export.

    Raises:
        UserError: naming what is there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        earlier = TABLE in json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        earlier = False
    if not earlier:
        raise UserError(
            f"output_dir '{folder}'",
            "an export gets a folder of its own, and this one holds something else",
            "Choose another --output_dir",
        )


def refuse_wasted(place: str, before: int, after: int) -> None:
    """Refuse 8 bits where hardly any weight can be kept in them.

    Raises:
        UserError: with what they would save.
    """
    if after > (1 - WORTH) * before:
        raise UserError(
            f"quantize=int8 with '{place}'",
            f"it would save {1 - after / before:.0%} of {before / 1e6:,.1f} MB: the weights of a network with depthwise"
            " convolutions stay as they are, for in 8 bits with one scale it loses its answers",
            "Leave --quantize out",
        )


def refuse_unknown(opset: int | None) -> None:
    """Refuse a version of the operators that the installed packages do not know.

    Raises:
        UserError: naming the newest.
    """
    from onnx.defs import onnx_opset_version

    if opset is not None and opset > onnx_opset_version():
        raise UserError(
            f"opset={opset}",
            f"the newest that this installation of onnx knows is {onnx_opset_version()}",
            "Choose a smaller --opset, or leave it out",
        )


def require_onnx() -> None:
    """Refuse to go on without the packages.

    Raises:
        UserError: one is missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            "hfkit export", f"it needs packages that are not installed ({error})", "Run: pip install 'hfkit[onnx]'"
        ) from error
