"""The page itself, made of gradio's parts. Nothing is fetched from elsewhere, and nothing is sent."""

import base64
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from hfkit.inference.demo.asking import Answer, Asked, Unanswered
from hfkit.inference.examples import examples
from hfkit.report.pages import bare

MOST_EXAMPLES = 6
TOP = 5  # labels shown of a ranking
LARGEST_FILE = "30mb"
WAITING = 32  # questions in line; more are refused
# Fonts that every system has.
THEME = gr.themes.Default(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace"))


def value_of(given: Any) -> Any:
    """A text, or a picture as its file: turned, made opaque and checked by the model's own task, not by gradio."""
    if not isinstance(given, dict):
        return given
    if given["path"] is None:  # from a program that sent it inline
        return {"bytes": base64.b64decode((given["url"] or "").partition(";base64,")[2]), "path": None}
    return {"bytes": Path(given["path"]).read_bytes(), "path": None}


def page(model: Asked, folder: Path) -> gr.Blocks:
    """Inputs, a button, the answer, and rows to try; pictures among those are written into `folder`."""
    with gr.Blocks(title=model.name, analytics_enabled=False) as app:
        gr.Markdown(model.about())
        with gr.Row():
            with gr.Column():
                names, inputs = inputs_of(model)
                button = gr.Button("Ask", variant="primary")
            with gr.Column():
                outputs = [output_of(model), gr.Markdown()]

        def ask(*values: Any) -> tuple[Any, str]:
            try:
                row = dict(zip(names, map(value_of, values), strict=True))
                return parts(model, row, model.answer(row))
            except Unanswered as error:
                raise gr.Error(escape(str(error), quote=False), print_exception=False) from error  # shown as HTML

        wanted = [button.click, *(one.submit for one in inputs if isinstance(one, gr.Textbox))]
        gr.on(wanted, ask, inputs, outputs, api_name="ask", preprocess=False)
        if rows := examples_of(model, names, folder):
            gr.Examples(rows, inputs, label=examples_label(model), cache_examples=False)
    return app


def inputs_of(model: Asked) -> tuple[list[str], list[Any]]:
    """The columns of a row, and what a user fills them in with."""
    if model.saved.task.reads == "pictures":
        return ["image"], [gr.Image(label="Picture", sources=["upload", "clipboard"], height=300)]
    if model.pairs:
        return ["text", "text_pair"], [gr.Textbox(label=f"{which} text", lines=3) for which in ("First", "Second")]
    return ["text"], [gr.Textbox(label="Text", lines=5)]


def output_of(model: Asked) -> Any:
    """What the answer is shown in."""
    match model.problem:
        case None:
            return gr.HighlightedText(label="Entities", show_legend=True)
        case "regression":
            return gr.Number(label="Answer")
        case "ordinal":
            return gr.Number(label=f"Answer ({model.saved.labels[0]})", precision=0)
        case _:
            return gr.Label(label="Answer", num_top_classes=TOP, show_heading=model.problem == "single-label")


def parts(model: Asked, row: dict[str, Any], answer: Answer) -> tuple[Any, str]:
    """An answer in terms of `output_of`, and what to know of it."""
    if model.problem is None:
        spans = [{"entity": one["label"], "start": one["start"], "end": one["end"]} for one in answer.prediction]
        return {"text": row["text"], "entities": spans}, answer.note or ("" if spans else "No entity was found.")
    if model.problem in ("regression", "ordinal"):
        return answer.prediction, answer.note
    said = "" if model.problem == "single-label" else f"Labels: {bare(', '.join(answer.prediction)) or 'none'}"
    return answer.likelihoods, "\n\n".join(filter(None, (said, answer.note)))


def examples_of(model: Asked, names: list[str], folder: Path) -> list[list[Any]]:
    """Rows to try, one value for each input; pictures as files of their own, for the report holds them inline."""
    rows = examples(model.report)[:MOST_EXAMPLES]
    if model.saved.task.reads == "pictures":
        for number, row in enumerate(rows):
            (folder / f"{number}.png").write_bytes(row["image"]["bytes"])
        return [[str(folder / f"{number}.png")] for number in range(len(rows))]
    rows = [{"text": " ".join(row["tokens"])} if "tokens" in row else row for row in rows or model.made_up()]
    return [[row.get(name, "") for name in names] for row in rows]


def examples_label(model: Asked) -> str:
    return "Test rows that it got wrong" if examples(model.report) else "To try"


def launched(model: Asked, folder: Path, host: str, port: int, *, share: bool) -> tuple[gr.Blocks, str]:
    """The page at an address, served by threads of its own.

    Raises:
        OSError: the address cannot be used.
    """
    app = page(model, folder)
    app.queue(max_size=WAITING, default_concurrency_limit=1)  # the model answers one question at a time
    _, local, public = app.launch(
        server_name=host,
        server_port=port,
        share=share,
        theme=THEME,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=LARGEST_FILE,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
    )
    return app, public or local
