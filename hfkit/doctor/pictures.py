"""Pictures: sizes against what the model reads, and files of kinds that lose something."""

from collections import Counter
from typing import Any

import numpy as np

from hfkit.doctor.findings import EXAMPLES, Finding, share
from hfkit.doctor.rows import Rows

MANY = 0.05  # share of pictures
TINY = 4  # sides of the model's picture to one of a tiny one
LONG = 4  # long sides to short ones, from where most of a picture is squeezed or cropped away
GREY = ("L", "1", "LA")
PLAIN = ("L", "RGB", "1")
# What becomes of pixels of another mode.
CONVERTED = dict.fromkeys(("RGBA", "LA", "PA"), " (what is transparent shows white)")


def examine_pictures(rows: Rows, processor: Any) -> tuple[list[Finding], dict[str, Any]]:
    """Sizes, shapes and modes.

    Args:
        processor: the checkpoint's; None where it could not be read.
    """
    if "fingerprint" not in rows.loaded["train"].column_names:
        return [], {}
    side = side_of(processor) if processor is not None else None
    found, facts = [], {"model_pixels": side}
    shorter, longer = (
        {split: pick(np.array([loaded["width"], loaded["height"]]), axis=0) for split, loaded in rows.of_splits()}
        for pick in (np.min, np.max)
    )
    told = [
        f"{split}: shorter side from {of_split.min()} to {of_split.max()} pixels, median {np.median(of_split):.0f}"
        for split, of_split in shorter.items()
    ]
    if side is not None:
        found.append(size_finding(rows, shorter, side, told))
    long = [(split, int(row)) for split in shorter for row in np.flatnonzero(longer[split] > LONG * shorter[split])]
    total = sum(map(len, shorter.values()))
    if long:
        what = f"{share(len(long), total)} pictures are more than {LONG} times as long as wide, and squeezed or cropped"
        found.append(Finding("data", "shapes", "note", what, places(rows, long), "Cut them into parts, or pad them"))
    return found + mode_findings(rows, total), facts


def side_of(processor: Any) -> int:
    """The shorter side of what a model reads, in pixels: found by asking its processor."""
    from PIL import Image

    pixels = processor(Image.new("RGB", (64, 64)), return_tensors="pt")["pixel_values"]
    return int(min(pixels.shape[-2:]))


def size_finding(rows: Rows, shorter: dict[str, np.ndarray], side: int, told: list[str]) -> Finding:
    """Whether pictures are so small that the model sees mostly made-up pixels."""
    tiny = [(split, int(row)) for split in shorter for row in np.flatnonzero(shorter[split] * TINY < side)]
    total = sum(map(len, shorter.values()))
    if not tiny:
        return Finding(
            "data", "pixels", "ok", f"no picture is tiny beside the {side} pixels that the model reads", told
        )
    what = f"{share(len(tiny), total)} pictures are tiny: under a quarter of the {side} pixels that the model reads"
    fix = "Get them larger, or use a checkpoint that reads fewer pixels, which is faster"
    severity = "warning" if len(tiny) > MANY * total else "note"
    return Finding("data", "pixels", severity, what, [*told, *places(rows, tiny)], fix)


def mode_findings(rows: Rows, total: int) -> list[Finding]:
    """Modes that are converted, animations, and pictures that a tag turns."""
    modes: Counter[str] = Counter()
    for split in rows.loaded:
        modes.update(rows.facts[split]["modes"])
    odd = {mode: count for mode, count in modes.most_common() if mode not in PLAIN}
    found = []
    if odd:
        told = [f"{mode}: {count:,}{CONVERTED.get(mode, '')}" for mode, count in odd.items()]
        what = f"{share(sum(odd.values()), total)} pictures are of a mode that becomes RGB"
        found.append(Finding("data", "modes", "note", what, told))
    found += grey_findings(rows)
    for column, what, fix in (
        ("animated", "are animations, of which the first frame counts", "Save the frame that matters"),
        ("rotated", "are turned by their EXIF tag, as a viewer does", ""),
    ):
        hits = [(split, row) for split, loaded in rows.of_splits() for row, hit in enumerate(loaded[column]) if hit]
        if hits:
            what = f"{share(len(hits), total)} pictures {what}"
            found.append(Finding("data", column, "note", what, places(rows, hits), fix))
    return found


def grey_findings(rows: Rows) -> list[Finding]:
    """Classes that the colour of a picture gives away."""
    kinds: dict[str, set[bool]] = {}
    for mode, answer in zip(rows.loaded["train"]["mode"], rows.answers["train"], strict=True):
        kinds.setdefault(str(answer), set()).add(mode in GREY)
    grey, coloured = ([label for label, of_label in kinds.items() if of_label == {kind}] for kind in (True, False))
    if not (grey and coloured):
        return []
    what = f"{len(grey)} classes are only grey and {len(coloured)} only in colour, so the model may learn just that"
    listed = [f"grey: {', '.join(grey[:EXAMPLES])}", f"colour: {', '.join(coloured[:EXAMPLES])}"]
    return [Finding("data", "grey-classes", "warning", what, listed, "Bring all pictures into one mode")]


def places(rows: Rows, hits: list[tuple[str, int]]) -> list[str]:
    return [f"{rows.at(*place)}: {rows.shown(*place)}" for place in hits[:EXAMPLES]]
