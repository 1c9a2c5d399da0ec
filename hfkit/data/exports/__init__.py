"""Exports of label tools, known by their content. The one list of them is `EXPORTS`."""

from pathlib import Path

from hfkit.data.exports.brat import Brat
from hfkit.data.exports.doccano import Doccano
from hfkit.data.exports.export import Export, Glimpse, look
from hfkit.data.exports.label_studio import LabelStudio, LabelStudioMin, LabelStudioTable
from hfkit.data.exports.prodigy import Prodigy
from hfkit.data.exports.spacy import SpacyDocBin, SpacyJson, SpacyPairs

# No file fits two of them.
EXPORTS: tuple[Export, ...] = (
    LabelStudio(),
    LabelStudioMin(),
    LabelStudioTable(),
    Doccano(),
    Prodigy(),
    SpacyPairs(),
    SpacyJson(),
    SpacyDocBin(),
    Brat(),
)

__all__ = ["EXPORTS", "Export", "Glimpse", "find_export", "look"]


def find_export(paths: list[Path]) -> Export | None:
    """The export that the files of a split are, by the content of the first; None if they are of no known tool."""
    glimpse = look(paths)
    return next((export for export in EXPORTS if export.fits(glimpse)), None)
