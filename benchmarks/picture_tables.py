"""Tables of pictures with boxes and masks: what frozen checkpoints know of places, and how rows become batches."""

import json
from pathlib import Path

from benchmarks.input_tables import measured
from hfkit.report.pages import interval_text, markdown_text, score_text

REPORTS = {"object-detection": "detr-detection", "semantic-segmentation": "segformer-segmentation"}
RESULTS = Path(__file__).parent / "results"


def frozen_places_table(result: dict) -> str:
    """The probes of places beside baselines without a checkpoint, and beside what the recipe's card says."""
    lines = ["| sample | contender | score | 95 % interval | CPU s |", "|---|---|---:|---|---:|"]
    for sample in result["samples"]:
        for one in sample["contenders"]:
            low, high = one["interval"]
            score = f"{sample['title']} {score_text(one['scores'][sample['headline']])}"
            interval = interval_text({"low": low, "high": high})
            lines.append(f"| {sample['task']} | {one['name']} | {score} | {interval} | {one['cpu_seconds']:,.1f} |")
        lines.append(tuned_row(sample))
    return measured(lines, result)


def tuned_row(sample: dict) -> str:
    """The fine-tuned model on the same test rows, from the report that the recipe's card is rendered from."""
    name = REPORTS[sample["task"]]
    report = json.loads((RESULTS / f"report_{name}.json").read_text(encoding="utf-8"))
    first = report["contenders"][0]
    if report["task"]["headline"] != sample["headline"] or report["rows"] != sample["rows"]["test"]:
        raise ValueError(f"{name}: its card is of other rows")
    return (
        f"| {sample['task']} | {first['name']}, by `model_cards/{name}.md` "
        f"| {sample['title']} {score_text(first['headline'])} | {interval_text(first['interval'])} "
        f"| {first['cost']['cpu_seconds']:,.0f} |"
    )


def annotated_input_table(result: dict) -> str:
    """CPU time of a picture with its boxes or its mask from file to model input, beside the stock examples."""
    photos = result["photos"]
    lines = [
        f"| {photos['width']} x {photos['height']} {photos['format']} | CPU ms per picture "
        "| times as fast as the example [lowest, highest of the rounds] |",
        "|---|---:|---|",
    ]
    for kind, sides in result["speed"].items():
        for name, one in sides.items():
            spread = f"[{one['lowest']:.2f}, {one['highest']:.2f}]"
            lines.append(f"| {kind}: {name} | {one['cpu_ms']:.2f} | {one['times_the_example']:.2f} {spread} |")
    if memory := result["memory"]:
        lines += [
            "",
            f"Memory that {memory['rows']:,} pictures with boxes take: {memory['mib_after_loading']:,.0f} MiB once they"
            f" are loaded, {memory['mib_after_batches']:,.0f} MiB at most over one epoch of batches.",
        ]
    return measured(lines, result)


def dicom_files_text(result: dict) -> str:
    """How many of pydicom's own files are read, whether they look alike, and why the others are refused."""
    refused = "; ".join(f"{markdown_text(rule)} ({count})" for rule, count in result["refused"].items())
    apart = ", ".join(one["file"] for one in result["apart"])
    alone = ", ".join(result["refused_alone"]) or "none that pydicom reads"
    return (
        f"Of the {result['files']} DICOM files that pydicom is tested on, many of them broken on purpose,"
        f" {result['read']} are read. {result['compared'] - len(result['apart'])} of {result['compared']} look as"
        f" pydicom's own functions show them (correlation of all pixels at least {result['lowest']:.4f}), and"
        f" {markdown_text(apart)} does not: its frames have windows of their own, which those functions leave out."
        f" Refused is {alone}; the rules that the others break: {refused}. `{result['command']}`, with pydicom-data."
    )
