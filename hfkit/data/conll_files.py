"""CoNLL files: one word and its tag per line, a blank line between sentences."""

from pathlib import Path

from datasets import Dataset

from hfkit.errors import DataError, UserError


def conll_options(path: Path) -> dict:
    """Reader options for CoNLL lines like the first of `path`: the token comes first and its tag last."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        first = next((line for line in lines if line.strip() and not line.startswith("-DOCSTART-")), "")
    # Splitting at any white space would cut tokens with a no-break space in two.
    delimiter = "\t" if "\t" in first else None
    width = len(first.rstrip("\r\n").split(delimiter))
    if width < 2:
        raise UserError(
            f"file '{path}'",
            f"every line holds a token and its tag, and its first line is {first.strip()!r}",
            "Separate the columns by a tab or by spaces",
        )
    names = ["tokens", *(f"column_{column}" for column in range(2, width)), "tags", "beyond"]
    # With plain utf-8, a byte-order mark would become part of the first token.
    return {"column_names": names, "delimiter": delimiter, "encoding": "utf-8-sig"}


def check_conll(splits: dict[str, Dataset]) -> dict[str, Dataset]:
    """The splits without the helper column, once it has shown that every line has the right number of columns.

    The reader silently fills missing columns with empty strings and drops surplus ones.
    """
    for split, rows in splits.items():
        for row, (tokens, tags, beyond) in enumerate(zip(rows["tokens"], rows["tags"], rows["beyond"], strict=True)):
            for token, tag, surplus in zip(tokens, tags, beyond, strict=True):
                if not tag or surplus:
                    raise DataError(
                        f"the line of {token!r} has too {'many' if surplus else 'few'} columns",
                        "every line has as many columns as the first line of train",
                        "Mend the line, or use tabs between columns when tokens hold spaces",
                        split=split,
                        row=row,
                        column="tags",
                    )
    return {split: rows.remove_columns("beyond") for split, rows in splits.items()}
