"""`hfkit push`: a finished run, or any saved model, to the Hub."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfkit.runtime.commands import GOES_ON, run

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
    dry_run: bool = typer.Option(
        False, "--dry-run", help="list the files to send and those to leave out; contacts no server"
    ),
    as_json: bool = typer.Option(False, "--json", help="the outcome as one JSON document"),
) -> None:
    """Push a finished run, or any saved model with a README.md, to the Hub.

    The model, its tokenizer or processor, card, report and redacted settings are sent, by a list of names; optimizer
    states, checkpoints, caches and logs never are. A file that holds a token or a key stops the push and is named.
    Files of these names that an earlier push left and this one lacks are removed from the repository; other files stay.
    The token is that of HF_TOKEN or `hf auth login`. After an interruption, run the same command again.

    Exit codes: 0 pushed, or nothing had changed; 1 the Hub or the way to it failed; 2 something given cannot be pushed.

        hfkit push runs/bert-ner me/bert-ner --dry-run
        hfkit push runs/bert-ner me/bert-ner --private
        hfkit push runs/bert-sentiment me/reviews --tag v1.0
        hfkit push runs/vit-images me/digits --create-pr
        hfkit push runs/vit-images me/digits --revision small --json
    """

    def main() -> None:
        from hfkit.hub import push as hub

        result = hub.push(
            folder,
            repo_id,
            private=private or None,
            revision=revision,
            create_pr=create_pr,
            tag=tag,
            dry_run=dry_run,
        )
        print(json.dumps(_to_json(result), indent=2) if as_json else "\n".join(_to_lines(result)))

    run(main, GOES_ON)


def _to_json(result: "Push") -> dict:
    return {
        "repo_id": result.repo_id,
        "url": result.url,
        "commit": result.commit.oid if result.commit else None,
        "changed": result.changed,
        "files": result.files,
        "removed": result.removed,
        "left_out": result.left_out,
    }


def _to_lines(result: "Push") -> list[str]:
    listed = [f"{_size(size):>10}  {name}" for name, size in result.files.items()]
    count = f"{len(result.files)} files, {_size(sum(result.files.values()))}"
    if result.commit is None:
        left_out = _by_folder(result.left_out)
        hidden = len(left_out) - MOST_SHOWN
        return [
            *(f"Would be pushed to {result.repo_id}:", *listed, f"{count}. Nothing was sent."),
            *(["Left out:"] if left_out else []),
            *(f"{_size(size):>10}  {name}" for name, size in list(left_out.items())[:MOST_SHOWN]),
            *([f"and {hidden} more"] if hidden > 0 else []),
        ]
    if not result.changed:
        return [f"Nothing has changed: {result.url}"]
    return [*listed, *(f"   removed  {name}" for name in result.removed), f"Pushed: {result.url} ({count})"]


def _by_folder(left_out: dict[str, int]) -> dict[str, int]:
    """The sizes of the files in the folder itself, and of its folders."""
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
