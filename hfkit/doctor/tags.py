"""Sentences of words: the scheme of their tags, tags that break it, spans that were mended, and words that are none."""

from collections import Counter
from itertools import chain

from hfkit.data.text.spans import MENDED
from hfkit.doctor.findings import Finding, share
from hfkit.doctor.rows import Rows

MANY = 0.01  # share of rows


def examine_tags(rows: Rows) -> list[Finding]:
    """Tags of entities and their scheme, and words."""
    columns = rows.splits["train"].column_names
    findings = scheme_findings(rows) if "invalid_transitions" in columns else []
    findings += span_findings(rows) if "mended" in columns else []
    return findings + (word_findings(rows) if "tokens" in columns else [])


def scheme_findings(rows: Rows) -> list[Finding]:
    """The scheme, and tags that it does not allow one after the other."""
    scheme = rows.facts["scheme"]
    converted = sum(rows.facts[split]["converted_rows"] for split in rows.splits)
    total = sum(map(len, rows.splits.values()))
    found = [Finding("data", "tag-scheme", "ok", f"tags are written in {scheme}")]
    if scheme != "IOB2":
        what = f"tags are written in {scheme}; {share(converted, total)} rows become IOB2"
        found = [Finding("data", "tag-scheme", "note", what, fix="Nothing: predictions and scores are in IOB2")]
    broken = [
        (split, row)
        for split, checked in rows.splits.items()
        for row, wrong in enumerate(checked["invalid_transitions"])
        if wrong
    ]
    if broken:
        severity = "warning" if len(broken) > MANY * total else "note"
        what = f"{share(len(broken), total)} rows have tags that {scheme} does not allow one after the other"
        fix = "Check them: an entity that goes on without having begun is taken as a new one"
        found.append(Finding("data", "tag-transitions", severity, what, rows.quote_rows(broken), fix))
    return found


def span_findings(rows: Rows) -> list[Finding]:
    """Spans of characters that were mended to become words."""
    mended = [
        (split, row) for split, checked in rows.splits.items() for row, kinds in enumerate(checked["mended"]) if kinds
    ]
    if not mended:
        return []
    total = sum(map(len, rows.splits.values()))
    counts = Counter(chain.from_iterable(rows.splits[split]["mended"][row] for split, row in mended))
    kinds = ", ".join(f"{count:,} {kind} ({MENDED[kind]})" for kind, count in counts.most_common())
    what = f"{share(len(mended), total)} rows have spans that were mended: {kinds}"
    fix = "Look at some of them: mended spans are what is trained on and scored"
    severity = "warning" if len(mended) > MANY * total else "note"
    return [Finding("data", "mended-spans", severity, what, rows.quote_rows(mended), fix)]


def word_findings(rows: Rows) -> list[Finding]:
    """Rows without words, and words without letters."""
    total, found = sum(map(len, rows.splits.values())), []
    empty = {split: sum(not words for words in checked["tokens"]) for split, checked in rows.splits.items()}
    if sum(empty.values()):
        counts = [f"{split}: {count:,}" for split, count in empty.items() if count]
        what = f"{share(sum(empty.values()), total)} rows have no words"
        found.append(Finding("data", "empty-rows", "note", what, counts, "Remove them: there is nothing to find"))
    blank = [
        (split, row)
        for split, checked in rows.splits.items()
        for row, words in enumerate(checked["tokens"])
        if any(not word.strip() for word in words)
    ]
    if blank:
        what = f"{share(len(blank), total)} rows have words that are empty or white space"
        fix = "Remove such words with their tags: they make no token that a model could read"
        found.append(Finding("data", "empty-words", "note", what, rows.quote_rows(blank), fix))
    return found
