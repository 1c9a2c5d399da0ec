"""The tables of the speed benchmark, from benchmarks/results/speed.json and scaling.json."""

from hfkit.report.pages import interval_text, markdown_text, score_text, signed_text

NOTHING, MARK = "–", "†"


def speed_table(result: dict) -> str:
    """Ratios to the peer, one row for each work, dataset and number of threads."""
    lines = [
        "| work | data | threads | times less CPU [lowest, highest] | wanted "
        "| peak memory against the peer | score: peer, hfkit, difference |",
        "|---|---|---:|---|---|---:|---|",
    ]
    for row in result["rows"]:
        cells = [
            markdown_text(f"{row['work']}: {row['own']['contender']} against {row['peer']['contender']}")
            + f" {MARK}" * bool(row.get("earlier")),
            markdown_text(row["dataset"]),
            str(row["threads"]),
            f"**{row['cpu_ratio']['median']:.2f}** [{row['cpu_ratio']['min']:.2f}, {row['cpu_ratio']['max']:.2f}]"
            f" of {row['cpu_ratio']['rounds']}",
            NOTHING if row["wanted"] is None else f"{row['wanted']:g}",
            f"{row['memory_ratio']['median']:.2f}",
            difference_text(row.get("score")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    rates = [row for row in result["rows"] if "useful_gflops" in row["own"]]
    if rates:
        lines += [
            "",
            "| work, peer | data | threads | GFLOP/s on real tokens: peer, hfkit | share of the matrix-product peak "
            "| share of the products that is of real tokens |",
            "|---|---|---:|---|---|---|",
            *map(rate_row, rates),
        ]
    machine = result["environment"]
    place = [machine["cpu"], f"{machine['cores']} cores, CPU only"]
    place += [f"{name} {version}" for name, version in machine["versions"].items() if name != "hfkit"]
    said = f"Measured by `{result['command']}` on {markdown_text(', '.join(place))}."
    if any(row.get("earlier") for row in result["rows"]):
        said += f" Rows with {MARK}: before steps in bfloat16 and without padding, on another machine."
    return "\n".join([*lines, "", said])


def difference_text(score: dict | None) -> str:
    if score is None:
        return NOTHING
    peer, own = (score_text(sum(score[side]) / len(score[side])) for side in ("peer", "own"))
    return (
        f"{markdown_text(score['headline'])} {peer}, {own}, {signed_text(score['difference'])} {interval_text(score)}"
    )


def rate_row(row: dict) -> str:
    sides = [row["peer"], row["own"]]
    cells = [
        markdown_text(f"{row['work']}, {row['peer']['contender']}") + f" {MARK}" * bool(row.get("earlier")),
        markdown_text(row["dataset"]),
        str(row["threads"]),
        ", ".join(f"{side['useful_gflops']:.0f}" for side in sides),
        ", ".join(f"{side['useful_gflops'] / side['matmul_gflops']:.0%}" for side in sides),
        ", ".join(f"{side['useful_share']:.0%}" for side in sides),
    ]
    return f"| {' | '.join(cells)} |"


def scaling_table(result: dict) -> str:
    """CPU microseconds a row by stage: flat where a stage is linear in rows; and the memory."""
    sizes = result["sizes"]
    if not sizes:
        return "No result yet."
    lines = [
        f"| rows | {' | '.join(f'{stage}, CPU µs a row' for stage in sizes[0]['cpu_seconds'])} "
        "| peak memory, MiB | without pages of files |",
        f"|---:|{'---:|' * (len(sizes[0]['cpu_seconds']) + 2)}",
    ]
    for size in sizes:
        cells = [f"{seconds / size['rows'] * 1e6:,.0f}" for seconds in size["cpu_seconds"].values()]
        memory = [f"{size['memory_mib'][kind]:,.0f}" for kind in ("peak", "private")]
        lines.append(f"| {' | '.join([format(size['rows'], ','), *cells, *memory])} |")
    cpu = sizes[-1]["environment"]["cpu"]
    return "\n".join(
        [*lines, "", f"Measured by `{result['command']} --only scaling` on {markdown_text(cpu)}, one thread."]
    )
