"""Findings, the document that `hfkit doctor --json` prints of them, and the text for people.

The document holds:

    schema    name and version of this layout; a change of keys changes the version
    created   when it was made, UTC, ISO 8601
    hfkit     version
    task      its key, or null where only the environment was looked at
    dataset, checkpoint    as they were given, or null
    findings  in the order of the checks:
        section   environment, data or model
        check     its name, which stays the same from version to version
        severity  ok, note (worth knowing), warning (likely to hurt or to mislead) or error (it cannot work)
        what      one sentence
        evidence  numbers, and examples with split, row and column; rows count from 0
        fix       what to do; "" where there is nothing to do
    facts     by section: what was measured, as plain values
    counts    how many findings there are of every severity
    exit_code 0, or 1: there is an error, or with --strict a warning
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from hfkit.errors import UserError
from hfkit.runtime.redaction import spell_out_controls, withhold_secrets
from hfkit.version import __version__

SCHEMA = "hfkit.doctor/2"
Severity = Literal["ok", "note", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("ok", "note", "warning", "error")
COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red"}
EXAMPLES = 3  # of one kind of trouble
LONGEST = 90  # characters of a value that is shown


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    section: Literal["environment", "data", "model"]
    check: str
    severity: Severity
    what: str
    evidence: Sequence[str] = ()
    fix: str = ""


@dataclass
class Checkup:
    """All findings, and the numbers behind them."""

    task: str | None = None
    dataset: str | None = None
    checkpoint: str | None = None
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in SEVERITIES}

    def exit_code(self, *, strict: bool) -> int:
        counts = self.counts()
        return int(counts["error"] > 0 or strict and counts["warning"] > 0)

    def document(self, *, strict: bool) -> dict[str, Any]:
        """The document that `--json` prints."""
        document = {
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "hfkit": __version__,
            "task": self.task,
            "dataset": self.dataset,
            "checkpoint": self.checkpoint,
            "findings": [{**asdict(finding), "evidence": list(finding.evidence)} for finding in self.findings],
            "facts": self.facts,
            "counts": self.counts(),
            "exit_code": self.exit_code(strict=strict),
        }
        return withhold_secrets(document)

    def show(self, console: Console, *, strict: bool) -> None:
        """Print it in sections. Nothing is cut: a terminal wraps long lines, and a pipe gets them whole."""
        # A row that is quoted may hold a token, and what is printed is copied into issues.
        findings = [Finding(**withhold_secrets(asdict(finding))) for finding in self.findings]
        for section in dict.fromkeys(finding.section for finding in findings):
            self._line(console, Text(section.capitalize(), "bold"))
            for finding in (finding for finding in findings if finding.section == section):
                begin = Text(f"  {finding.severity:8}", COLOURS[finding.severity])
                self._line(console, begin.append(spell_out_controls(finding.what), ""))
                for line in map(spell_out_controls, finding.evidence):
                    self._line(console, Text(f"{'':12}{line}", "dim"))
                if finding.fix:
                    self._line(console, Text(f"{'':10}→ {spell_out_controls(finding.fix)}"))
        counted = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in self.tally())
        ending = "; with --strict warnings count as errors" if strict and self.counts()["warning"] else ""
        self._line(console, Text(f"{counted}{ending}", "bold"))

    def tally(self) -> list[tuple[str, int]]:
        """How many errors, warnings and notes there are."""
        counts = self.counts()
        return [(severity, counts[severity]) for severity in ("error", "warning", "note")]

    @staticmethod
    def _line(console: Console, text: Text) -> None:
        console.print(text, soft_wrap=not console.is_terminal, highlight=False)


def report_refusal(section: Literal["environment", "data", "model"], check: str, error: UserError) -> Finding:
    """The error that a run would end with, as a finding."""
    return Finding(section, check, "error", f"{error.value}: {error.rule}", fix=error.fix)


def quote(value: Any) -> str:
    """A value on one line that is not too long."""
    text = " ".join(withhold_secrets(str(value)).split())  # before a cut could leave half of a token
    return repr(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def share(part: int, whole: int) -> str:
    """A count with its share: '12 of 3,080 (0.4 %)'."""
    percent = 100 * part / max(whole, 1)
    return f"{part:,} of {whole:,} ({'below 0.1' if 0 < percent < 0.05 else f'{percent:.1f}'} %)"
