"""The README of an export: what it is, how it compares, and how to use it without hfkit."""

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import metadata_load

from hfkit.report.names import on_hub
from hfkit.report.pages import bare, interval_text, score_text, signed_text
from hfkit.scores.score import headline_text

# What stands between the graph's logits and an answer, by task and problem. `row` is one row of logits.
TEXTS = """\
import numpy as np
import onnxruntime
from transformers import AutoConfig, AutoTokenizer

FOLDER = "."  # where this file lies
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
labels = AutoConfig.from_pretrained(FOLDER).id2label
session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx")

texts = ["The parcel came a day late, but all of it was there.", "Ada Lovelace wrote from London."]
inputs = tokenizer(texts, padding=True, truncation=True, max_length=@longest@, return_tensors="np")
(logits,) = session.run(["logits"], {one.name: inputs[one.name] for one in session.get_inputs()})
"""
WORDS = """\
import onnxruntime
from transformers import AutoConfig, AutoTokenizer

FOLDER = "."  # where this file lies
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
labels = AutoConfig.from_pretrained(FOLDER).id2label
session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx")

words = ["Ada", "Lovelace", "wrote", "to", "Charles", "Babbage", "from", "London", "."]
inputs = tokenizer([words], is_split_into_words=True, truncation=True, max_length=@longest@, return_tensors="np")
(logits,) = session.run(["logits"], {one.name: inputs[one.name] for one in session.get_inputs()})

answers, before = [], None
for place, word in enumerate(inputs.word_ids(0)):
    if word is not None and word != before:  # the first token of a word says what the word is
        answers.append((words[word], labels[int(logits[0, place].argmax())]))
    before = word
print(answers)
"""
PICTURES = """\
import numpy as np
import onnxruntime
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor

FOLDER = "."  # where this file lies
processor = AutoImageProcessor.from_pretrained(FOLDER)
labels = AutoConfig.from_pretrained(FOLDER).id2label
session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx")

pictures = [Image.open("picture.png").convert("@mode@")]
pixels = np.asarray(processor(images=pictures, return_tensors="pt")["pixel_values"])
(logits,) = session.run(["logits"], {"pixel_values": pixels})
"""
ANSWERS = {
    "single-label": """
answers = [labels[int(row.argmax())] for row in logits]
print(answers)
""",
    "multi-label": """
answers = [[labels[int(i)] for i in np.flatnonzero(row > 0)] for row in logits]  # 0 is a probability of one half
print(answers)
""",
    "regression": """
answers = [float(row[0]) for row in logits]
print(answers)
""",
    "ordinal": """
low, high = map(int, labels[0].split(" to "))
answers = [int(np.clip(np.round(row[0]), low, high)) for row in logits]
print(answers)
""",
}


def snippet(record: dict[str, Any]) -> str:
    """A program that asks the graph, with onnxruntime and transformers alone."""
    if record["task"] == "token-classification":
        code = WORDS
    else:
        code = TEXTS if record["longest"] else PICTURES
        code += ANSWERS[record["problem"]]
    channels = record["inputs"].get("pixel_values", ["", "3"])[1]
    return code.replace("@longest@", str(record["longest"])).replace("@mode@", "L" if channels == "1" else "RGB")


def page(record: dict[str, Any], model: Path) -> str:
    """README.md of an export.

    Args:
        model: the folder of the model that was exported, whose card may name a licence.
    """
    eight, parity = record["int8"], record["parity"]
    source = bare(record["source"])
    weights = "weights in 8 bits" if eight else "32-bit floats"
    size = sum(bytes for name, bytes in record["bytes"].items() if name.startswith("model.onnx")) / 1e6
    lines = [
        "---",
        yaml.safe_dump(front_matter(record, model), sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {source} as an ONNX graph",
        "",
        f"`{record['task']}`, opset {record['opset']}, {weights}, {size:,.1f} MB. {sizes(record)}",
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
    lines += ["## Use", "", "```bash", f"pip install onnxruntime transformers{vision(record)}", "```", "", "```python"]
    return "\n".join([*lines, snippet(record).rstrip(), "```", ""])


def vision(record: dict[str, Any]) -> str:
    return "" if record["longest"] else " torch torchvision pillow"


def sizes(record: dict[str, Any]) -> str:
    if record["longest"]:
        return f"Any number of rows; texts of up to {record['longest']} tokens."
    sides = record["inputs"]["pixel_values"]
    return f"Any number of pictures, which the processor brings to {sides[2]} x {sides[3]} pixels."


def compared_line(source: str, one: dict[str, Any]) -> str:
    equal = "–" if one["equal_predictions"] is None else f"{one['equal_predictions']:.1%}"
    cells = (
        bare(source),
        one["rows"],
        f"{one['largest_logit']:.3g}",
        f"{one['largest_difference']:.2g}",
        equal,
    )
    return f"| {' | '.join(map(str, cells))} |"


def eight_bits(eight: dict[str, Any]) -> str:
    """What 8 bits change, in a sentence."""
    score = eight["score"]
    if score is None:
        return "No rows with answers were at hand: what 8 bits do to the score is not known."
    return (
        f"{headline_text(score['metric'])} goes from {score_text(score['before'])} to {score_text(score['after'])}:"
        f" by {signed_text(score['difference'])} {interval_text(score)}, at {100 * score['level']:g} %."
    )


def front_matter(record: dict[str, Any], model: Path) -> dict[str, Any]:
    """What the Hub reads, with the licence of the model."""
    card = model / "README.md"
    known = (metadata_load(card) or {}) if card.is_file() else {}
    found = {
        "license": known.get("license"),
        "language": known.get("language"),
        "pipeline_tag": record["task"],
        "base_model": record["source"] if on_hub(record["source"]) else None,
        "base_model_relation": "quantized" if record["int8"] and on_hub(record["source"]) else None,
        "tags": ["onnx", "hfkit"],
    }
    return {key: value for key, value in found.items() if value}
