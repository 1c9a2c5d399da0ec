"""README's table of what prompting costs beside scoring whole prompts, and beside lm_eval."""

from typing import Any

from benchmarks.input_tables import measured
from hfkit.report.pages import markdown_text


def prompting_table(result: dict[str, Any]) -> str:
    """CPU seconds of whole prompts and of lm_eval over ours, medians with the range of the rounds."""
    lines = [
        "| rows x labels | language model | demonstrations | whole prompts against hfkit | lm_eval against hfkit |",
        "|---|---|---:|---|---|",
    ]
    for cell in result["cells"]:
        ratios = [
            f"{found['median']:.1f} ({min(found['rounds']):.1f}-{max(found['rounds']):.1f})"
            for found in (cell["ratios"]["whole"], cell["ratios"]["lm_eval"])
        ]
        rows = f"{cell['corpus'].partition('/')[2] or cell['corpus']}: {cell['rows']} x {cell['labels']}"
        named = [rows, cell["model"], str(cell["demonstrations"])]
        lines.append(f"| {' | '.join([*map(markdown_text, named), *ratios])} |")
    return measured(lines, result)
