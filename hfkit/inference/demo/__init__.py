"""A page in the browser that asks a saved model: for trying it out, and for showing it to others."""

import ipaddress
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, TextIO

from hfkit.contract.abilities import input_columns
from hfkit.errors import UserError
from hfkit.inference.demo.asking import DemoModel, Unanswered
from hfkit.inference.examples import read_report
from hfkit.inference.saved import load_saved


def load_demo(place: str, revision: str | None = None) -> DemoModel:
    """A saved model for the page.

    Raises:
        UserError: there is no finished model.
    """
    saved = load_saved(place, revision=revision).with_usual_columns()
    report = read_report(saved.folder)
    return DemoModel(saved, input_columns(saved.task.rows, report.get("data", {})), report)


def check(model: DemoModel) -> dict[str, Any]:
    """Make the page without serving it, and answer its first example.

    Raises:
        UserError: gradio is missing, or the model does not answer.
    """
    require_gradio()
    from hfkit.inference.demo.page import build_page

    with use_own_folder() as folder:
        build_page(model, folder)
    try:
        return model.answer(model.examples()[0]).to_json()
    except Unanswered as error:
        raise UserError(f"model '{model.saved.place}'", f"it does not answer ({error})", "Try another") from error


def serve(
    model: DemoModel,
    host: str,
    port: int,
    *,
    share: bool = False,
    names: Sequence[str] = (),
    out: TextIO | None = None,
) -> None:
    """Serve the page until the program is interrupted, and print its address to `out`.

    Args:
        names: further host names to answer under (see `guard.Guard`).

    Raises:
        UserError: gradio is missing, or the address cannot be used.
    """
    require_gradio()
    from hfkit.inference.demo.page import launch

    if not is_loopback(host):
        print(f"warning: whoever reaches this machine at {host} can ask the model, without a password", file=sys.stderr)
    with use_own_folder() as folder:
        try:
            app, url = launch(model, folder, host, port, share=share, names=names)
        except OSError as error:
            raise UserError(
                f"address {host}:{port}", f"it cannot be listened on ({error})", "Choose another --port or --host"
            ) from error
        try:
            print(f"Ask {model.name} at {url} (Ctrl+C ends it)", file=out, flush=True)
            Event().wait()
        except KeyboardInterrupt:  # a server has no other end: this is its regular one
            print("ended", file=out)
        finally:
            app.close(verbose=False)


@contextmanager
def use_own_folder() -> Iterator[Path]:
    """A folder for gradio's files that is deleted with the page: uploaded pictures belong to whoever sent them."""
    with TemporaryDirectory(prefix="hfkit-demo-") as folder:
        before = os.environ.get("GRADIO_TEMP_DIR")
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ["GRADIO_TEMP_DIR"]
            if before is not None:
                os.environ["GRADIO_TEMP_DIR"] = before


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_gradio() -> None:
    """Refuse to go on without gradio, and keep it from telling others that it is used.

    Raises:
        UserError: it is missing.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when it is imported
    if not find_spec("gradio"):
        raise UserError("hfkit demo", "it needs gradio, which is not installed", "Run: pip install 'hfkit[demo]'")
