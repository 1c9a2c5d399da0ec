"""README's tables of what happens before and beside the model: start-up, order of batches, input side, windows."""

from statistics import median

from hfkit.report.pages import markdown_text, score_text, signed_text


def startup_table(result: dict) -> str:
    """CPU seconds from the command to the first step, beside a short driver that works as the example script does."""
    lines = [
        "| start | hfkit, CPU s | stock script, CPU s | hfkit against it [lowest, highest] |",
        "|---|---:|---:|---|",
    ]
    for name, words in (("first", "the stock script tokenises"), ("again", "it finds what it tokenised before")):
        own, peer, ratio = (result[name][key] for key in ("hfkit_cpu_seconds", "stock_cpu_seconds", "ratio"))
        lines.append(f"| {words} | {own['median']:.2f} | {peer['median']:.2f} | {spread_text(ratio)} |")
    return measured(lines, result)


def bucketing_table(result: dict) -> str:
    """Whether batches of like length cost quality: scores over seeds, and the difference to the random order."""
    sweep = result["sweeps"]["warmup-0"]
    lines = [
        "| order of the rows, loss | seeds | padding | F1, validation | F1, test | against random: validation; test |",
        "|---|---:|---:|---|---|---|",
    ]
    for name, found in sweep["variants"].items():
        order, _, loss = name.partition("-")
        scores = [
            f"{score_text(found[split]['mean'])} ± {score_text(found[split]['sd'])}" for split in ("validation", "test")
        ]
        lines.append(
            f"| {order}, {loss} | {len(found['seeds'])} | {found['padding']['mean']:.0%} | {' | '.join(scores)} "
            f"| {difference_text(sweep['differences'], name)} |"
        )
    return measured(lines, result)


def difference_text(differences: dict, name: str) -> str:
    found = differences.get(f"{name} minus random-mean")
    if found is None:
        return "–"
    return "; ".join(
        f"{signed_text(found[split]['mean'])} [{signed_text(found[split]['low'])}, {signed_text(found[split]['high'])}]"
        for split in ("validation", "test")
    )


def input_side_table(result: dict) -> str:
    """CPU time of what surrounds the model, as a share of what the stock way takes."""
    parts = (
        ("a batch of 8 texts, padded", result["batches"]["hfkit"], result["batches"]["stock"]),
        ("a row of words, tokenised", result["tokens"]["words"]["hfkit"], result["tokens"]["words"]["stock"]),
        ("a text, tokenised", result["tokens"]["texts"]["hfkit"], result["tokens"]["texts"]["stock"]),
        (
            "a step of AdamW, one group for each depth and decay",
            result["groups"]["layer-wise"],
            result["groups"]["one group"],
        ),
    )
    lines = ["| part | hfkit, CPU ms | stock, CPU ms | hfkit against it [lowest, highest] |", "|---|---:|---:|---|"]
    lines += [
        f"| {words} | {own['cpu_ms']['median']:.3f} | {peer['cpu_ms']['median']:.3f} "
        f"| {spread_text(own['over_first'])} |"
        for words, own, peer in parts
    ]
    return measured(lines, result)


def qa_windows_table(result: dict) -> str:
    """CPU seconds from questions to windows and from logits to answers, beside the stock script's loops."""
    lines = [
        f"| {result['windows']:,} windows of {result['rows']:,} questions | hfkit, CPU s | run_qa.py, CPU s |",
        "|---|---:|---:|",
    ]
    for words, part in (("made of questions and passages", "windows"), ("turned into answers", "answers")):
        sides = ([one[side][f"{part}_seconds"] for one in result["rounds"]] for side in ("ours", "stock"))
        lines.append(f"| {words} | " + " | ".join(f"{median(seconds):.2f}" for seconds in sides) + " |")
    ours, stock, ratio = result["ours_cpu_seconds"], result["stock_cpu_seconds"], result["ratio"]
    spread = f"[{ratio['least']:.1f}, {ratio['most']:.1f}]"
    lines.append(f"| both | {ours:.2f} | {stock:.2f}: **{ratio['median']:.1f}** times as many {spread} |")
    return measured(lines, result)


def generation_table(result: dict) -> str:
    """CPU seconds of an evaluation in which a model writes, beside the stock trainer's."""
    lines = [
        "| model | rows | tokens written, median to most | hfkit, CPU s | Seq2SeqTrainer, CPU s "
        "| stock against it [lowest, highest] | texts unlike |",
        "|---|---:|---|---:|---:|---|---:|",
    ]
    for found in result["models"]:
        own, peer = (found["cpu_seconds"][name] for name in ("ours", "stock"))
        written, ratio = found["tokens_written"], found["ratio"]
        spread = {"median": ratio["median"], "lowest": ratio["low"], "highest": ratio["high"]}
        lines.append(
            f"| {found['model']} | {found['rows']} | {written['median']:.0f} to {written['most']} "
            f"| {own['median']:.1f} | {peer['median']:.1f} | {spread_text(spread)} | {found['unlike_texts']} |"
        )
    return measured(lines, result)


def packing_table(result: dict) -> str:
    """Tokens that pass through a language model for each one of a document, and CPU seconds, packed and padded."""
    ours, stock = (result[f"{side}_tokens_per_real_token"] for side in ("ours", "stock"))
    seconds, tokens = result["cpu_seconds"], result["rounds"][0]["ours"]["real_tokens"]
    lines = [
        f"| {tokens:,} tokens of {result['rows']:,} documents | packed | padded, as stock | padded against packed |",
        "|---|---:|---:|---|",
        f"| tokens through the model for each of a document | {ours:.3f} | {stock:.3f} | {stock / ours:.2f} |",
        f"| CPU seconds of forward and backward passes | {seconds['ours']:.1f} | {seconds['stock']:.1f} "
        f"| {spread_text(result['ratio'])} |",
    ]
    return measured(lines, result)


def cached_heads_table(result: dict) -> str:
    """CPU seconds of a step above a frozen prefix, computed anew and read from the store."""
    lines = [
        "| what learns | a step, CPU s | with the stored prefix, CPU s | ratio [lowest, highest] |",
        "|---|---:|---:|---|",
    ]
    for head in result["heads"]:
        seconds = head["cpu_seconds"]
        ratio = spread_text(head["ratio"])
        lines.append(f"| {head['head']} | {seconds['plain']:.3f} | {seconds['stored']:.3f} | {ratio} |")
    return measured(lines, result)


def unpadding_table(result: dict) -> str:
    """A row for each set: its padding, and what a step costs with and without it in both precisions."""
    lines = [
        f"| rows, batches of {result['batch']} | padding | float32: CPU ms a step with, without it | times as fast"
        " | bfloat16: with, without it | times as fast |",
        "|---|---:|---|---|---|---|",
    ]
    for row in result["sets"]:
        cells = [markdown_text(row["set"]), f"{100 * row['padding']:.0f}%"]
        for precision in ("float32", "bfloat16"):
            spent = row[precision]["cpu_ms"]
            cells += [f"{spent['padded']:.0f}, {spent['unpadded']:.0f}", spread_text(row[precision]["ratio"])]
        lines.append(f"| {' | '.join(cells)} |")
    return measured(lines, result)


def reading_table(result: dict) -> str:
    """CPU seconds from a file of rows to a table, beside a tuned way."""
    lines = [
        f"| {result['rows']:,} rows of | read by | reading, CPU s [lowest, highest] | whole process, CPU s | "
        "whole process against it [lowest, highest] |",
        "|---|---|---|---:|---|",
    ]
    for kind, found in result["files"].items():
        peer = list(found["contenders"])[1]
        for name, seconds in found["contenders"].items():
            ratio = spread_text(found["ratio"]) if name == peer else "–"
            read, whole = seconds["read"], seconds["process"]["median"]
            words = f"{read['median']:.2f} [{read['lowest']:.2f}, {read['highest']:.2f}]"
            lines.append(f"| {kind} ({found['bytes'] / 1e6:.0f} MB) | {name} | {words} | {whole:.2f} | {ratio} |")
    return measured(lines, result)


def spread_text(ratio: dict) -> str:
    return f"**{ratio['median']:.2f}** [{ratio['lowest']:.2f}, {ratio['highest']:.2f}]"


def measured(lines: list[str], result: dict) -> str:
    cpu = markdown_text(result["environment"]["cpu"])
    return "\n".join([*lines, "", f"Measured by `{result['command']}` on {cpu}, CPU only, one thread."])
