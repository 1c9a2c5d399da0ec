"""Tags of entities: the scheme they are written in, and sentences that break it."""

from hfkit.doctor.findings import EXAMPLES, Finding, share
from hfkit.doctor.rows import Rows

MANY = 0.01  # share of rows


def examine_tags(rows: Rows) -> list[Finding]:
    """Scheme, transitions that it does not allow, and rows that hold nothing."""
    if "invalid_transitions" not in rows.loaded["train"].column_names:
        return []
    scheme = rows.facts["scheme"]
    converted = sum(rows.facts[split]["converted_rows"] for split in rows.loaded)
    total = sum(map(len, rows.loaded.values()))
    found = [Finding("data", "tag-scheme", "ok", f"tags are written in {scheme}")]
    if scheme != "IOB2":
        what = f"tags are written in {scheme}; {share(converted, total)} rows become IOB2"
        found = [Finding("data", "tag-scheme", "note", what, fix="Nothing: predictions and scores are in IOB2")]
    broken = [
        (split, row)
        for split, loaded in rows.of_splits()
        for row, wrong in enumerate(loaded["invalid_transitions"])
        if wrong
    ]
    if broken:
        severity = "warning" if len(broken) > MANY * total else "note"
        what = f"{share(len(broken), total)} rows have tags that {scheme} does not allow one after the other"
        told = [f"{rows.at(*place)}: {rows.shown(*place)}" for place in broken[:EXAMPLES]]
        fix = "Check them: an entity that goes on without having begun is taken as a new one"
        found.append(Finding("data", "tag-transitions", severity, what, told, fix))
    empty = {split: rows.facts[split]["rows_without_words"] for split in rows.loaded}
    if sum(empty.values()):
        told = [f"{split}: {count:,}" for split, count in empty.items() if count]
        what = f"{share(sum(empty.values()), total)} rows have no words"
        found.append(Finding("data", "empty-rows", "note", what, told, "Remove them: there is nothing to find"))
    blank = [
        (split, row)
        for split, loaded in rows.of_splits()
        for row, words in enumerate(loaded["tokens"])
        if any(not word.strip() for word in words)
    ]
    if blank:
        what = f"{share(len(blank), total)} rows have words that are empty or white space"
        told = [f"{rows.at(*place)}: {rows.shown(*place)}" for place in blank[:EXAMPLES]]
        fix = "Remove such words with their tags: without a token they are always O"
        found.append(Finding("data", "empty-words", "note", what, told, fix))
    return found
