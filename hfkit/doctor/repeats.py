"""Inputs that are there twice: within a split, in two splits, with two answers, or of one unit in two splits."""

import unicodedata
from collections import defaultdict
from functools import lru_cache

from hfkit.doctor.findings import EXAMPLES, Finding, Severity, share
from hfkit.doctor.rows import Rows

PAIRS = (("test", "train"), ("validation", "train"), ("test", "validation"))
LEAKY = 0.01  # share of judged rows known from training, from where a score is misleading
REPEATED = 0.05  # share of training rows
FEWEST = 10  # rows, below which a share is an accident
SHORT = 3  # words, up to which texts repeat by nature


@lru_cache(maxsize=1_000_000)
def normalise(text: str) -> str:
    """A text without differences of writing alone: case, white space, forms of one character."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def examine_repeats(rows: Rows) -> list[Finding]:
    """Every repeat, as a warning where scores or training are touched."""
    keys = input_keys(rows)
    found = find_repeats_within(rows, keys) + find_repeats_across(rows, keys)
    if not found:
        kind = "the same file" if rows.are_pictures else "the same input, case and white space aside"
        found = [Finding("data", "repeats", "ok", f"no two rows hold {kind}")]
    return found + find_conflicts(rows)


def input_keys(rows: Rows) -> dict[str, list[str]]:
    """A key for each input, by split: inputs with one key are the same."""
    return {
        split: contents if rows.are_pictures else [normalise(text) for text in contents]
        for split, contents in rows.contents.items()
    }


def find_repeats_within(rows: Rows, keys: dict[str, list[str]]) -> list[Finding]:
    """Rows that repeat an earlier one of their split."""
    findings = []
    for split, of_split in keys.items():
        first: dict[str, int] = {}
        again = [(row, first[key]) for row, key in enumerate(of_split) if first.setdefault(key, row) != row]
        if not again:
            continue
        contents = rows.contents[split]
        judged = split != "train"
        long = sum(not is_short(rows, of_split[row]) for row, _ in again)
        alike = sum(contents[row] != contents[earlier] for row, earlier in again)
        severity = weigh(long, len(of_split), LEAKY if judged else REPEATED)
        what = f"{split}: {share(len(again), len(of_split))} rows repeat an earlier one"
        what += describe_repeats(alike, len(again) - long)
        samples = [f"{rows.place(split, a)} = {rows.place(split, b)}: {rows.quote_input(split, a)}" for a, b in again]
        fix = "Keep one of each: repeats count several times, and make the interval too narrow" if judged else ""
        fix = fix or "Keep one of each, unless rows are meant to weigh more"
        findings.append(Finding("data", "repeats-within", severity, what, samples[:EXAMPLES], fix))
    return findings


def find_repeats_across(rows: Rows, keys: dict[str, list[str]]) -> list[Finding]:
    """Rows of a split that another one holds as well."""
    findings = []
    for split, other in PAIRS:
        where: dict[str, int] = {}
        for row, key in enumerate(keys[other]):
            where.setdefault(key, row)
        twins = [(row, where[key]) for row, key in enumerate(keys[split]) if key in where]
        if not twins:
            continue
        exact = set(rows.contents[other])
        long = sum(not is_short(rows, keys[split][row]) for row, _ in twins)
        alike = sum(rows.contents[split][row] not in exact for row, _ in twins)
        severity = weigh(long, len(keys[split]), LEAKY)
        what = f"{share(len(twins), len(keys[split]))} rows of {split} are in {other} too"
        what += describe_repeats(alike, len(twins) - long)
        samples = [f"{rows.place(split, a)} = {rows.place(other, b)}: {rows.quote_input(split, a)}" for a, b in twins]
        fix = f"Remove them from {other}: what was seen before is not judged fairly"
        findings.append(Finding("data", "repeats-across", severity, what, samples[:EXAMPLES], fix))
    return findings


def weigh(count: int, total: int, limit: float) -> Severity:
    """The severity of so many rows."""
    return "warning" if count >= FEWEST and count > limit * total else "note"


def is_short(rows: Rows, key: str) -> bool:
    """Whether it is a text of a few words: 'Thank you!' is in two splits because people write it often."""
    return not rows.are_pictures and len(key.split()) <= SHORT


def describe_repeats(alike: int, short: int) -> str:
    """How repeats differ, in words."""
    counts = ((alike, "with other case or white space"), (short, f"of up to {SHORT} words"))
    parts = [f"{count:,} {what}" for count, what in counts if count]
    return f" ({', '.join(parts)})" if parts else ""


def find_torn(rows: Rows) -> list[list[tuple[str, int]]]:
    """The places, by split and row, of each input that has more than one answer, in any splits."""
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for split, of_split in input_keys(rows).items():
        for row, key in enumerate(of_split):
            places[key].append((split, row))
    return [
        group
        for group in places.values()
        if len(group) > 1 and len({repr(rows.answers[split][row]) for split, row in group}) > 1
    ]


def find_conflicts(rows: Rows) -> list[Finding]:
    """Equal inputs with unequal answers, in any splits."""
    torn = find_torn(rows)
    if not torn:
        return []
    total = sum(map(len, rows.splits.values()))
    count = sum(map(len, torn))
    severity = weigh(count, total, LEAKY)
    quoted = []
    for group in torn[:EXAMPLES]:
        by_answer = {repr(rows.answers[split][row]): (split, row) for split, row in reversed(group)}
        of_group = [
            f"{rows.place(*place)} says {rows.quote_answer(*place)}" for place in list(by_answer.values())[::-1][:2]
        ]
        quoted.append(f"{rows.quote_input(*group[0])}: {', '.join(of_group)}")
    what = f"more than one answer to one input, in {share(count, total)} rows with {len(torn):,} different inputs"
    fix = "Settle on one answer each, or remove them: no model can be right on all of them"
    return [Finding("data", "conflicts", severity, what, quoted, fix)]


def examine_units(rows: Rows) -> list[Finding]:
    """Units of `--unit_column` that two splits share."""
    column = rows.raw.columns.get("unit")
    if column is None:
        return []
    units = {split: rows.task.units(loaded).tolist() for split, loaded in rows.splits.items()}
    findings = []
    for split, other in PAIRS:
        both = sorted(set(units[split]) & set(units[other]))
        if both:
            count = sum(unit in set(both) for unit in units[split])
            what = f"{share(len(both), len(set(units[split])))} units of {split} (column '{column}') are in {other} too"
            touched = f"with {share(count, len(units[split]))} rows of {split}"
            evidence = [f"{touched}, such as of {', '.join(both[:EXAMPLES])}"]
            fix = "Split by unit: rows of one unit resemble each other, and the score will be too good"
            findings.append(Finding("data", "units", "warning", what, evidence, fix))
    if not findings:
        counts = ", ".join(f"{split} {len(set(of_split)):,}" for split, of_split in units.items())
        findings = [Finding("data", "units", "ok", f"no two splits share a unit ({counts})")]
    return findings
