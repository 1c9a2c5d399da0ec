"""Versions: Python and the packages that a run needs, against the floors that hfkit's own metadata names."""

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hfkit.doctor.findings import Finding

Versions = Callable[[str], str | None]
IMPORTANT = ("torch", "transformers", "datasets", "accelerate", "peft")


def installed_version(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def examine_packages(extras: set[str], python: str) -> tuple[list[Finding], dict[str, Any]]:
    """Python, hfkit's requirements, and whether torch and torchvision are of one build.

    Args:
        extras: those of hfkit that the run needs.
    """
    facts = {"python": python, "versions": {name: installed_version(name) or "not installed" for name in IMPORTANT}}
    try:
        own = distribution("hfkit")
    except PackageNotFoundError:
        fix = "Install it (pip install hfkit, or -e . in a checkout)"
        what = "hfkit is imported from a folder and not installed, so that the floors of its packages are not known"
        return [Finding("environment", "packages", "note", what, fix=fix)], facts
    found = python_finding(python, own.metadata["Requires-Python"])
    found += package_findings(own.requires or [], extras, installed_version)
    vision = installed_version("torchvision")
    if vision:
        found += vision_findings(distribution("torchvision").requires or [], vision, installed_version("torch"))
    return found, facts


def python_finding(python: str, floor: str | None) -> list[Finding]:
    if SpecifierSet(floor or "").contains(python, prereleases=True):
        return [Finding("environment", "python", "ok", f"Python {python}")]
    return [
        Finding("environment", "python", "error", f"Python {python}, and hfkit needs {floor}", fix="Use a newer Python")
    ]


def package_findings(requires: Iterable[str], extras: set[str], versions: Versions) -> list[Finding]:
    """A finding for each requirement that is missing or too old; otherwise one that all are there."""
    found, seen = [], set()
    for requirement in map(Requirement, requires):
        of_extra = {extra for extra in extras if requirement.marker and requirement.marker.evaluate({"extra": extra})}
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if not (needed or of_extra) or requirement.name in seen:
            continue
        seen.add(requirement.name)
        there = versions(requirement.name)
        command = f'pip install "hfkit[{min(of_extra)}]"' if of_extra and not needed else "pip install --upgrade hfkit"
        if there is None:
            # No run uses all of an extra, and a run without a package that it needs ends by itself.
            what = f"{requirement.name} is not installed" + (f" (extra {min(of_extra)})" if of_extra else "")
            found.append(
                Finding("environment", "packages", "error" if needed else "warning", what, fix=f"Run: {command}")
            )
        elif not requirement.specifier.contains(there, prereleases=True):
            what = f"{requirement.name} {there} is installed, and hfkit needs {requirement.specifier}"
            fix = f'Run: pip install "{requirement.name}{requirement.specifier}"'
            found.append(Finding("environment", "packages", "error", what, fix=fix))
    if not found:
        versions_there = ", ".join(f"{name} {there}" for name in IMPORTANT if (there := versions(name)))
        found.append(Finding("environment", "packages", "ok", f"{len(seen)} packages fit: {versions_there}, …"))
    return found


def vision_findings(requires: Iterable[str], vision: str, torch: str | None) -> list[Finding]:
    """Whether torchvision was built for this torch: of two builds, transformers may not even be importable."""
    needs = next((found for found in map(Requirement, requires) if found.name == "torch"), None)
    fix = "Install both from one place: pip install --upgrade torch torchvision"
    what = f"torchvision {vision} beside torch {torch}"
    # A local part such as +cpu is no reason: `==2.9.0` means the 2.9.0 of any build.
    if torch is None or needs and not needs.specifier.contains(Version(torch).public, prereleases=True):
        return [Finding("environment", "torchvision", "error", f"{what}, and it needs torch{needs.specifier}", fix=fix)]
    builds = [Version(one).local for one in (vision, torch)]
    if all(builds) and builds[0] != builds[1]:
        return [Finding("environment", "torchvision", "error", f"{what} are of two builds", fix=fix)]
    return [Finding("environment", "torchvision", "ok", what)]
