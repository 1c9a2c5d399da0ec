"""Exports of Label Studio: JSON with all annotations, its short form JSON_MIN, and tables of text.

All three are read into tasks with the answers of people (`results`), and those into general columns (`columns`).
"""

from hfkit.data.exports.label_studio.short_forms import LabelStudioMin, LabelStudioTable
from hfkit.data.exports.label_studio.tasks import LabelStudio

__all__ = ["LabelStudio", "LabelStudioMin", "LabelStudioTable"]
