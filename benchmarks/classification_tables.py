"""README's tables of the classification benchmark, from the result files that collect_classification.py wrote."""

from hfkit.report.pages import interval_text, markdown_text, score_text, signed_text
from hfkit.scores.score import headline_text

COLUMNS = {
    "majority": "majority",
    "classical": "classical",
    "frozen": "linear probe",
    "scratch": "scratch",
    "full": "full",
    "gradual": "gradual",
}
NOT_RUN = "–"
CLASSICAL = {"text": "TF-IDF", "image": "pixels"}


def classification_table(results: list[dict], task: str) -> str:
    """One row per test: every contender's score with its interval, the best one in bold."""
    chosen = sorted((one for one in results if one["task"] == task), key=lambda one: one["title"])
    if not chosen:
        return f"No result file yet for {task}s."
    heads = [CLASSICAL[task] if kind == "classical" else name for kind, name in COLUMNS.items()]
    lines = [
        f"| trained on → tested on | rows | score | {' | '.join(heads)} |",
        f"|---|---:|---|{'---|' * len(heads)}",
    ]
    for result in chosen:
        for test in result["tests"]:
            best = max(test["scores"].values(), key=lambda score: score["headline"])["headline"]
            cells = [cell(test["scores"][kind], best) if kind in test["scores"] else NOT_RUN for kind in COLUMNS]
            where = "" if test["test"] == result["dataset"] else f" → {test['test']}"
            lines.append(
                f"| {markdown_text(result['title'] + where)} | {result['rows']['train']:,} / {test['rows']:,} "
                f"| {headline_text(result['headline'])} | {' | '.join(cells)} |"
            )
    words = [f"- {sentence}" for result in chosen for sentence in sentences(result)]
    return "\n".join([*lines, "", *words, "", measured_by(chosen)])


def cell(score: dict, best: float) -> str:
    text = score_text(score["headline"])
    return f"{f'**{text}**' if score['headline'] == best else text} {interval_text(score)}"


def sentences(result: dict) -> list[str]:
    """Where gradual unfreezing does not win, in words, and what a second score says that the table does not."""
    found = []
    for test in result["tests"]:
        where = markdown_text(result["title"] + ("" if test["test"] == result["dataset"] else f" → {test['test']}"))
        for kind, pair in test["gradual_above"].items():
            if pair["clear"] and pair["difference"] < 0:
                name = CLASSICAL[result["task"]] if kind == "classical" else COLUMNS[kind]
                gap = f"{score_text(-pair['difference'])} {interval_text(flipped(pair))}"
                found.append(f"{where}: {name} is {gap} above gradual.")
        scores = test["scores"]["gradual"]["all"]
        if "out_of_scope_recall" in scores:
            found.append(
                f"{where}: gradual has in-scope accuracy {score_text(scores['in_scope_accuracy'])} and out-of-scope"
                f" recall {score_text(scores['out_of_scope_recall'])}"
                f" (precision {score_text(scores['out_of_scope_precision'])})."
            )
        if result["headline"] == "f1":
            found.append(f"{where}: gradual has macro F1 {score_text(scores['macro_f1'])}.")
    return found


def flipped(pair: dict) -> dict:
    return {"low": -pair["high"], "high": -pair["low"]}


def gain_table(results: list[dict]) -> str:
    """What the bundled image backbones are worth: accuracy at few and all labels, beside the network from scratch."""
    lines = [
        "| backbone | training labels | scratch | full | gradual | gain of the better (by validation) |",
        "|---|---:|---|---|---|---|",
    ]
    for result in sorted(results, key=lambda one: one["title"]):
        for row in result["rows"]:
            cells = [
                f"{score_text(row['scores'][kind]['mean'])} ± {score_text(row['scores'][kind]['std'])}"
                for kind in ("scratch", "full", "gradual")
            ]
            gap = row["above_scratch"]
            lines.append(
                f"| {markdown_text(result['title'])} | {row['labels']:,} | {' | '.join(cells)} "
                f"| {row['chosen']} {signed_text(gap['difference'])} {interval_text(gap)} |"
            )
    return "\n".join([*lines, "", measured_by(results)])


def image_input_table(result: dict) -> str:
    """CPU time of one image from file to model input, and how memory grows with the number of images."""
    photos = result["photos"]
    lines = [
        f"| {photos['width']} x {photos['height']} {photos['format']} → {result['size']} | CPU ms per image "
        "| times as fast as the example [lowest, highest of the rounds] |",
        "|---|---:|---|",
    ]
    for name, one in result["speed"].items():
        spread = f"[{one['lowest']:.2f}, {one['highest']:.2f}]"
        lines.append(f"| {markdown_text(name)} | {one['cpu_ms']:.2f} | {one['times_the_example']:.2f} {spread} |")
    grown = [
        f"{one['rows']:,} images ({one['mib_of_images']:,.0f} MiB, {name}): {one['mib_after_batches']:,.0f} MiB"
        for name, one in result["memory"].items()
    ]
    machine = result["environment"]
    return "\n".join(
        [
            *lines,
            "",
            f"Memory that a dataset takes once batches have been made of it: {'; '.join(grown)}.",
            "",
            f"Measured by `{result['command']}` on {markdown_text(machine['cpu'])}, one thread.",
        ]
    )


def measured_by(results: list[dict]) -> str:
    one = results[0]
    place = [one["machine"], *(f"{package} {version}" for package, version in one["versions"].items())]
    commands = " and ".join(f"`{command}`" for command in sorted({result["command"] for result in results}))
    seeds = one.get("seeds", [one.get("seed")])
    return (
        f"Measured by {commands} on {markdown_text(', '.join(place))}, "
        f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}."
    )
