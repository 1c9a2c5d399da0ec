"""Pictures of two splits that look the same and are different files, and pictures that a tag turns a second time."""

from pathlib import Path
from typing import Any

from hfkit.doctor.findings import EXAMPLES, Finding, share
from hfkit.doctor.repeats import LEAKY, PAIRS, weigh
from hfkit.doctor.rows import Rows

WIDTH, HEIGHT, MORE = 0xA002, 0xA003, 0x8769  # EXIF: the sides as the camera wrote them, in a directory of their own
SWAPPED = (5, 6, 7, 8)  # orientations in which width and height change places


def examine_likeness(rows: Rows) -> list[Finding]:
    """Near repeats across splits, and turned pictures whose tag is out of date."""
    if not rows.are_pictures:
        return []
    return find_near_repeats(rows) + find_stale_tags(rows)


def find_near_repeats(rows: Rows) -> list[Finding]:
    """Pictures of a split that another one shows as well, in another file: saved again, resized, or brightened."""
    from hfkit.data.images.likeness import look_alike

    seen = {split: look_alike(loaded, Path()) for split, loaded in rows.splits.items()}
    findings = []
    for split, other in PAIRS:
        same = set(rows.contents[other])
        twins = [
            (row, twin)
            for row, twin in seen[split].twins_in(seen[other])
            if rows.contents[split][row] not in same  # that is a repeat, which has a finding of its own
        ]
        if not twins:
            continue
        torn = sum(repr(rows.answers[split][row]) != repr(rows.answers[other][twin]) for row, twin in twins)
        what = f"{share(len(twins), len(seen[split]))} pictures of {split} look the same as one of {other}"
        what += f", {torn:,} of them with another answer" if torn else ""
        shown = [
            f"{rows.place(split, row)}: {rows.quote_input(split, row)} ~ {rows.place(other, twin)}:"
            f" {rows.quote_input(other, twin)}"
            for row, twin in twins[:EXAMPLES]
        ]
        fix = f"Look at them, and remove copies from {other}: what was seen before is not judged fairly"
        severity = weigh(len(twins), len(seen[split]), LEAKY)
        findings.append(Finding("data", "near-repeats", severity, what, shown, fix))
    if not findings:
        findings = [Finding("data", "near-repeats", "ok", "no two splits show the same picture in different files")]
    return findings


def find_stale_tags(rows: Rows) -> list[Finding]:
    """Pictures that were turned already, and whose tag would turn them once more."""
    turned = [
        (split, row)
        for split, loaded in rows.splits.items()
        for row, hit in enumerate(loaded["rotated"])
        if hit and is_stale(loaded[row]["image"])
    ]
    if not turned:
        return []
    total = sum(map(len, rows.splits.values()))
    what = f"{share(len(turned), total)} pictures seem to be turned twice: their EXIF tag turns sides that have changed"
    what += " places already"
    fix = "Look at one of them, and remove the tag if it lies on its side: exiftool -Orientation=1 -n FILES"
    return [Finding("data", "stale-orientation", "warning", what, rows.quote_rows(turned), fix)]


def is_stale(image: dict[str, Any]) -> bool:
    """Whether the tag swaps the sides of a picture that the camera wrote with these sides swapped."""
    from hfkit.data.images.pictures import open_image, read_orientation

    found = open_image(image, Path())
    if read_orientation(found) not in SWAPPED or found.width == found.height:
        return False
    written = found.getexif().get_ifd(MORE)
    return (written.get(WIDTH), written.get(HEIGHT)) == (found.height, found.width)
