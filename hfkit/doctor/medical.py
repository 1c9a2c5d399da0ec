"""Pictures of patients: text in the pixels that may name them."""

from typing import Any

import numpy as np

from hfkit.contract.abilities import Personal
from hfkit.data.columns import space_evenly
from hfkit.doctor.findings import Finding, share
from hfkit.doctor.rows import Rows

LOOKED_AT = 500  # pictures of a split
SMALLEST = 64  # pixels of the shorter side: below that, no text could be read
MARGIN = 1 / 8  # of each side
BRIGHT, DARK = 230, 90  # grey values
SHARP = 0.003  # share of a margin's pixels that are bright right beside a dark one
FEWEST = 12  # such pixels


def examine_burnt_in(rows: Rows) -> list[Finding]:
    """Files that say of themselves that their pixels hold text, and pictures that look like it; [] for other pictures.

    The second is a hint: letters in the margins are bright and sharp, and so are markers of a side, wires and implants.
    """
    own = rows.task.rows
    if not isinstance(own, Personal):
        return []
    said, seen, looked_at = [], [], 0
    for split, loaded in rows.splits.items():
        for row in space_evenly(len(loaded), LOOKED_AT):
            looked_at += 1
            image = loaded[int(row)]["image"]
            if own.says_burnt_in(image):
                said.append((split, int(row)))
            elif looks_written_on(own.read_grey(image)):
                seen.append((split, int(row)))
    found = []
    if said:
        what = f"{share(len(said), looked_at)} files say that text is burnt into their pixels, which may name a person"
        fix = "Blacken the text before anything leaves this machine: reports show pictures"
        found.append(Finding("data", "burnt-in", "warning", what, rows.quote_rows(said), fix))
    if seen:
        what = f"{share(len(seen), looked_at)} pictures have bright sharp marks in their margins, as burnt-in text has"
        fix = "Look at them: it may be a marker of the side or a wire, or a name. A model may learn it, too"
        found.append(Finding("data", "marks", "note", what, rows.quote_rows(seen), fix))
    if not found:
        what = f"no mark in the margins of {looked_at:,} pictures, and no file says that it has text; look all the same"
        found.append(Finding("data", "burnt-in", "ok", what))
    return found


def looks_written_on(picture: Any) -> bool:
    """Whether many pixels in the margins of a grey picture are bright right beside dark ones."""
    pixels = np.asarray(picture)
    if min(pixels.shape) < SMALLEST:
        return False
    sharp = np.zeros(pixels.shape, bool)
    bright, dark = pixels >= BRIGHT, pixels <= DARK
    sharp[:, 1:] |= bright[:, 1:] & dark[:, :-1]
    sharp[:, :-1] |= bright[:, :-1] & dark[:, 1:]
    down, across = (max(1, int(side * MARGIN)) for side in pixels.shape)
    margins = np.ones(pixels.shape, bool)
    margins[down:-down, across:-across] = False
    count = int((sharp & margins).sum())
    return count >= max(FEWEST, SHARP * margins.sum())
