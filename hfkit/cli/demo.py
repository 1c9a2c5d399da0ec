"""`hfkit demo`: a page in the browser that asks a saved model."""

import json
from typing import Annotated

import typer

from hfkit.runtime.commands import ANEW, run
from hfkit.runtime.redaction import spell_out_controls


def demo(
    model: Annotated[str, typer.Argument(help="output_dir of a run, any folder with a model, or a Hub id")],
    host: Annotated[str, typer.Option("--host", help="address to listen on; others can reach any but this one")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="to listen on")] = 7860,
    share: Annotated[bool, typer.Option("--share", help="also through a public address of gradio's")] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow_host", help="name of a proxy that hands requests on; may be given again"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="make the page, answer its first example as JSON, and end; for tests")
    ] = False,
    revision: Annotated[str | None, typer.Option("--revision", help="branch, tag or commit of a Hub id")] = None,
) -> None:
    """Ask a saved model in the browser: texts, pairs of texts, or pictures, by what it was trained for.

    The page shows the score of the run with its interval, the labels, and rows of the test split to try. It listens on
    this machine alone unless --host or --share say otherwise, needs no network, and sends nothing anywhere. Requests
    that other websites send through the browser are refused, and so are those of more than 42 MB; an answer takes at
    most a minute. Ctrl+C or SIGTERM ends it.

        hfkit demo runs/bert-sentiment
        hfkit demo runs/vit-images --port 7861
        hfkit demo runs/bert-ner --check

    Exit codes: 0 it was ended; 1 something failed; 2 the model or the port cannot be used, or gradio is missing.
    """
    run(lambda: _demo(model, host, port, revision, share=share, names=allow_host or [], check=check), ANEW)


def _demo(
    place: str, host: str, port: int, revision: str | None, *, share: bool, names: list[str], check: bool
) -> None:
    from hfkit.inference import demo
    from hfkit.progress import reserve_stdout

    demo.require_gradio()
    with reserve_stdout() as stdout:
        model = demo.load_demo(place, revision)
        if check:
            print(spell_out_controls(json.dumps(demo.check(model), ensure_ascii=False)), file=stdout)
        else:
            demo.serve(model, host, port, share=share, names=names, out=stdout)
