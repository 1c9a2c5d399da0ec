"""The names of splits, as people and tools write them."""

import re

# The usual names of each split, its own name first.
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val", "eval", "development", "evaluation"),
    "test": ("test", "testing"),
}
MEANT = {name: split for split, names in SPLITS.items() for name in names}


def split_of(name: str) -> str | None:
    """The split that a name means: 'dev' and 'reviews-val' are validation; None if it names none, or several."""
    words = re.split(r"[\W_\d]+", name.lower())
    meant = {MEANT[word] for word in words if word in MEANT}
    return meant.pop() if len(meant) == 1 else None
