"""Pictures: sizes against what the model reads, and files of kinds that lose something."""

from collections import Counter
from typing import Any

import numpy as np

from hfkit.contract.codec import Codec
from hfkit.doctor.findings import EXAMPLES, Finding, share
from hfkit.doctor.rows import Rows

MANY = 0.05  # share of pictures
TINY = 4  # sides of the model's picture to one of a tiny one
LONG = 4  # long sides to short ones, from where most of a picture is squeezed or cropped away
GREY = ("L", "1", "LA")
PLAIN = ("L", "RGB", "1")


def examine_pictures(rows: Rows, codec: Codec | None) -> tuple[list[Finding], dict[str, Any]]:
    """Sizes, shapes and modes.

    Args:
        codec: None if the checkpoint has no processor that fits.
    """
    if not rows.are_pictures:
        return [], {}
    side = side_of(codec.processor) if codec is not None else None
    found, facts = [], {"model_pixels": side}
    shorter, longer = (
        {split: pick(np.array([loaded["width"], loaded["height"]]), axis=0) for split, loaded in rows.splits.items()}
        for pick in (np.min, np.max)
    )
    spread = [
        f"{split}: shorter side from {of_split.min()} to {of_split.max()} pixels, median {np.median(of_split):.0f}"
        for split, of_split in shorter.items()
    ]
    if side is not None:
        found.append(size_finding(rows, shorter, side, spread))
    long = [(split, int(row)) for split in shorter for row in np.flatnonzero(longer[split] > LONG * shorter[split])]
    total = sum(map(len, shorter.values()))
    if long:
        what = f"{share(len(long), total)} pictures are more than {LONG} times as long as wide, and squeezed or cropped"
        found.append(Finding("data", "shapes", "note", what, rows.quote_rows(long), "Cut them into parts, or pad them"))
    return found + mode_findings(rows, total), facts


def side_of(processor: Any) -> int:
    """The shorter side of the pictures that a model reads, in pixels, as its processor makes them."""
    from PIL import Image

    pixels = processor(Image.new("RGB", (64, 64)), return_tensors="pt")["pixel_values"]
    return int(min(pixels.shape[-2:]))


def size_finding(rows: Rows, shorter: dict[str, np.ndarray], side: int, spread: list[str]) -> Finding:
    """Whether pictures are so small that the model sees mostly made-up pixels."""
    tiny = [(split, int(row)) for split in shorter for row in np.flatnonzero(shorter[split] * TINY < side)]
    total = sum(map(len, shorter.values()))
    if not tiny:
        return Finding(
            "data", "pixels", "ok", f"no picture is tiny beside the {side} pixels that the model reads", spread
        )
    what = f"{share(len(tiny), total)} pictures are tiny: under a quarter of the {side} pixels that the model reads"
    fix = "Get them larger, or use a checkpoint that reads fewer pixels, which is faster"
    severity = "warning" if len(tiny) > MANY * total else "note"
    return Finding("data", "pixels", severity, what, [*spread, *rows.quote_rows(tiny)], fix)


def mode_findings(rows: Rows, total: int) -> list[Finding]:
    """Modes that are converted, animations, and pictures that a tag turns."""
    modes: Counter[str] = Counter()
    for split in rows.splits:
        modes.update(rows.facts[split]["modes"])
    odd = {mode: count for mode, count in modes.most_common() if mode not in PLAIN}
    found = []
    if odd:
        from hfkit.data.images.files import CONVERTED

        counts = [
            f"{mode}: {count:,}{f' ({CONVERTED[mode]})' if mode in CONVERTED else ''}" for mode, count in odd.items()
        ]
        what = f"{share(sum(odd.values()), total)} pictures are of a mode that becomes RGB"
        found.append(Finding("data", "modes", "note", what, counts))
    found += grey_findings(rows)
    for column, what, fix in (
        ("animated", "have several frames, of which the first counts", "Save the frame that matters"),
        ("rotated", "are turned by their EXIF tag, as a viewer does", ""),
        ("faint", "have more than 8 bits and are nearly black", "Scale their values to the whole range"),
    ):
        hits = [(split, row) for split, loaded in rows.splits.items() for row, hit in enumerate(loaded[column]) if hit]
        if hits:
            what = f"{share(len(hits), total)} pictures {what}"
            found.append(Finding("data", column, "note", what, rows.quote_rows(hits), fix))
    return found


def grey_findings(rows: Rows) -> list[Finding]:
    """Classes that the colour of a picture gives away."""
    kinds: dict[str, set[bool]] = {}
    for mode, answer in zip(rows.splits["train"]["mode"], rows.answers["train"], strict=True):
        kinds.setdefault(str(answer), set()).add(mode in GREY)
    grey, coloured = ([label for label, of_label in kinds.items() if of_label == {kind}] for kind in (True, False))
    if not (grey and coloured):
        return []
    what = f"{len(grey)} classes are only grey and {len(coloured)} only in colour, so the model may learn just that"
    listed = [f"grey: {', '.join(grey[:EXAMPLES])}", f"colour: {', '.join(coloured[:EXAMPLES])}"]
    return [Finding("data", "grey-classes", "warning", what, listed, "Bring all pictures into one mode")]
