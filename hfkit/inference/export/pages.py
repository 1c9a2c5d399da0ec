"""The README of an export: the graph, how it compares with its model, and how to use it without hfkit."""

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import metadata_load

from hfkit.contract.abilities import Exported
from hfkit.contract.rows import Media
from hfkit.contract.view import View
from hfkit.report.names import is_hub_id
from hfkit.report.pages import escape_markdown, interval_text, score_text, signed_text

# For a task whose view does not know better.
ANY_GRAPH = """\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
for side, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
    print(side, {one.name: one.shape for one in values})
"""


def write_snippet(view: View, record: dict[str, Any]) -> str:
    """A program that asks the graph, with onnxruntime and transformers alone."""
    return view.onnx_snippet(record["inputs"], record["longest"]) if isinstance(view, Exported) else ANY_GRAPH


def render_page(record: dict[str, Any], model: Path, snippet: str) -> str:
    """The README.md of an export.

    Args:
        model: the folder of the exported model, whose card may name a licence.
        snippet: a program that asks the graph.
    """
    eight, parity = record["int8"], record["parity"]
    source = escape_markdown(record["source"])
    weights = "weights in 8 bits" if eight else "32-bit floats"
    size = sum(bytes for name, bytes in record["bytes"].items() if name.startswith("model.onnx")) / 1e6
    lines = [
        "---",
        yaml.safe_dump(front_matter(record, model), sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {source} as an ONNX graph",
        "",
        f"`{record['tag']}`, opset {record['opset']}, {weights}, {size:,.1f} MB. {sizes(record)}",
        "",
        "Written by `hfkit export`, which asked model and graph about the same rows in batches of several sizes:",
        "",
        "| compared on | rows | largest logit | largest difference of logits | same predictions |",
        "|---|---|---|---|---|",
        *(compared_line(source, one) for source, one in parity.items()),
    ]
    if eight:
        lines += [compared_line(f"{list(parity)[-1]}, in 8 bits", eight), "", eight_bits(eight)]
    lines += ["", "The labels stand in `config.json`, and all of this in `export.json`.", ""]
    lines += [
        "## Use",
        "",
        "```bash",
        f"pip install onnxruntime transformers{extra_packages(record)}",
        "```",
        "",
        "```python",
    ]
    return "\n".join([*lines, snippet.rstrip(), "```", ""])


def extra_packages(record: dict[str, Any]) -> str:
    return " torch torchvision pillow" if record["media"] == Media.IMAGE else ""


def sizes(record: dict[str, Any]) -> str:
    """Which inputs the graph takes, in a sentence."""
    if record["longest"]:
        return f"Any number of rows; texts of up to {record['longest']} tokens."
    if record["media"] != Media.IMAGE:
        return "Any number of rows."
    sides = record["inputs"]["pixel_values"]
    return f"Any number of pictures, which the processor brings to {sides[2]} x {sides[3]} pixels."


def compared_line(source: str, one: dict[str, Any]) -> str:
    equal = "–" if one["equal_predictions"] is None else f"{one['equal_predictions']:.1%}"
    cells = (
        escape_markdown(source),
        one["rows"],
        f"{one['largest_logit']:.3g}",
        f"{one['largest_difference']:.2g}",
        equal,
    )
    return f"| {' | '.join(map(str, cells))} |"


def eight_bits(eight: dict[str, Any]) -> str:
    """The effect of 8 bits, in a sentence."""
    score = eight["score"]
    if score is None:
        return "No rows with answers were at hand: what 8 bits do to the score is not known."
    return (
        f"{score['title']} goes from {score_text(score['before'])} to {score_text(score['after'])}:"
        f" by {signed_text(score['difference'])} {interval_text(score)}, at {100 * score['level']:g} %."
    )


def front_matter(record: dict[str, Any], model: Path) -> dict[str, Any]:
    """The metadata for the Hub, with the licence of the model."""
    card = model / "README.md"
    known = (metadata_load(card) or {}) if card.is_file() else {}
    found = {
        "license": known.get("license"),
        "language": known.get("language"),
        "pipeline_tag": record["tag"],
        "base_model": record["source"] if is_hub_id(record["source"]) else None,
        "base_model_relation": "quantized" if record["int8"] and is_hub_id(record["source"]) else None,
        "tags": ["onnx", "hfkit"],
    }
    return {key: value for key, value in found.items() if value}
