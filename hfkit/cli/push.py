"""`hfkit push`: a finished run, or any saved model, to the Hub."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfkit.errors import GOES_ON, run

if TYPE_CHECKING:
    from hfkit.hub.push import Push

MOST_SHOWN = 12  # names of what is left out


def push(
    folder: Annotated[Path, typer.Argument(help="a finished run, or a saved model with a README.md", metavar="DIR")],
    repo_id: Annotated[str, typer.Argument(help="owner/name, or a name of your own", metavar="REPO_ID")],
    private: bool = typer.Option(False, "--private", help="create the repository as a private one"),
    revision: str | None = typer.Option(None, help="branch to push to, created where it is missing; default: main"),
    create_pr: bool = typer.Option(False, "--create-pr", help="propose it as a pull request"),
    tag: str | None = typer.Option(None, help="a name for the pushed commit"),
    dry_run: bool = typer.Option(False, "--dry-run", help="list what would be sent, and what not; asks nobody"),
    as_json: bool = typer.Option(False, "--json", help="the outcome as one JSON document"),
) -> None:
    """Push a finished run, or any saved model with a README.md, to the Hub.

    Sent are the model, its tokenizer or processor, card, report and redacted settings, by a list of names; never
    optimizer states, checkpoints, caches or logs. A file that holds a token or a key stops the push and is named. What
    a former push has left under these names and this one lacks is removed from the repository; other files stay. The
    token is that of HF_TOKEN or `hf auth login`. The same command goes on after an interruption.

    Exit codes: 0 pushed, or nothing had changed; 1 the Hub or the way to it failed; 2 something given cannot be pushed.

        hfkit push runs/bert-ner me/bert-ner --dry-run
        hfkit push runs/bert-ner me/bert-ner --private
        hfkit push runs/bert-sentiment me/reviews --tag v1.0
        hfkit push runs/vit-images me/digits --create-pr
        hfkit push runs/vit-images me/digits --revision small --json
    """

    def main() -> None:
        from hfkit.hub import push as hub

        told = hub.push(
            folder,
            repo_id,
            private=private or None,
            revision=revision,
            create_pr=create_pr,
            tag=tag,
            dry_run=dry_run,
        )
        print(json.dumps(_facts(told), indent=2) if as_json else "\n".join(_lines(told)))

    run(main, GOES_ON)


def _facts(told: "Push") -> dict:
    return {
        "repo_id": told.repo_id,
        "url": told.url,
        "commit": told.commit.oid if told.commit else None,
        "changed": told.changed,
        "files": told.files,
        "removed": told.removed,
        "left_out": told.left_out,
    }


def _lines(told: "Push") -> list[str]:
    listed = [f"{_size(size):>10}  {name}" for name, size in told.files.items()]
    count = f"{len(told.files)} files, {_size(sum(told.files.values()))}"
    if told.commit is None:
        left_out = _by_folder(told.left_out)
        hidden = len(left_out) - MOST_SHOWN
        return [
            *(f"Would be pushed to {told.repo_id}:", *listed, f"{count}. Nothing was sent."),
            *(["Left out:"] if left_out else []),
            *(f"{_size(size):>10}  {name}" for name, size in list(left_out.items())[:MOST_SHOWN]),
            *([f"and {hidden} more"] if hidden > 0 else []),
        ]
    if not told.changed:
        return [f"Nothing has changed: {told.url}"]
    return [*listed, *(f"   removed  {name}" for name in told.removed), f"Pushed: {told.url} ({count})"]


def _by_folder(left_out: dict[str, int]) -> dict[str, int]:
    """Sizes of what lies in the folder itself and of its folders."""
    sizes: dict[str, int] = {}
    for name, size in left_out.items():
        top, slash, _ = name.partition("/")
        sizes[top + slash] = sizes.get(top + slash, 0) + size
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _size(size: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
