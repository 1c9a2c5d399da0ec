"""The page itself, made of gradio's parts. Nothing is fetched from elsewhere, and nothing is sent."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from starlette.middleware import Middleware

from hfkit.contract.abilities import Conversed
from hfkit.contract.rows import Media
from hfkit.contract.view import Boxes, Choice, Mask, Number, Picture, Spans, to_text
from hfkit.errors import UserError
from hfkit.inference.conversation import Conversation
from hfkit.inference.demo.asking import DemoModel, Reply, TimedModel, Unanswered
from hfkit.inference.demo.guard import Guard
from hfkit.inference.examples import report_rows
from hfkit.report.drawings import draw_boxes, draw_mask
from hfkit.report.pages import escape_markdown

MOST_EXAMPLES = 6
TOP = 5  # labels shown of a ranking
LARGEST_FILE = "30mb"
WAITING = 32  # questions in line; more are refused
ORDINALS = ("First", "Second", "Third")
# Fonts that every system has.
THEME = gr.themes.Default(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace"))


def read_input(given: Any) -> Any:
    """A text, or a picture as its file: turned, made opaque and checked by the model's own task, not by gradio."""
    if not isinstance(given, dict):
        return given
    if given["path"] is None:  # from a program that sent it inline
        return {"bytes": base64.b64decode((given["url"] or "").partition(";base64,")[2]), "path": None}
    return {"bytes": Path(given["path"]).read_bytes(), "path": None}


def build_page(model: DemoModel, folder: Path) -> gr.Blocks:
    """Inputs, a button, the answer, and rows to try, whose pictures are written into `folder`; or a conversation, with
    a model that can hold one."""
    if isinstance(model.saved.codec, Conversed):
        return build_conversation(model)
    timed = TimedModel(model)
    with gr.Blocks(title=model.name, analytics_enabled=False) as app:
        gr.Markdown(model.about())
        with gr.Row():
            with gr.Column():
                inputs = make_inputs(model)
                button = gr.Button("Ask", variant="primary")
            with gr.Column():
                outputs = [make_output(model), gr.Markdown(), *([make_map()] if model.explains else [])]

        def ask(*values: Any) -> tuple[Any, ...]:
            try:
                reply = timed.answer(dict(zip(model.columns, map(read_input, values), strict=True)))
                return render(reply, model.saved.choices.labels)
            except Unanswered as error:
                raise gr.Error(escape(str(error), quote=False), print_exception=False) from error  # shown as HTML

        wanted = [button.click, *(one.submit for one in inputs if isinstance(one, gr.Textbox))]
        gr.on(wanted, ask, inputs, outputs, api_name="ask", preprocess=False)
        if rows := example_inputs(model, folder):
            gr.Examples(rows, inputs, label=examples_label(model), cache_examples=False)
    return app


def build_conversation(model: DemoModel) -> gr.Blocks:
    """Turns, and a field for the next one; an answer appears as it is written."""

    def answer(text: str, history: list[dict[str, Any]]) -> Iterator[str]:
        try:
            yield from answer_turn(model, text, history)
        except (Unanswered, UserError) as error:
            raise gr.Error(escape(str(error), quote=False), print_exception=False) from error  # shown as HTML

    with gr.Blocks(title=model.name, analytics_enabled=False) as app:
        gr.Markdown(model.about())
        # Plain text: what a model writes is no markup.
        turns = gr.Chatbot(label="Conversation", height=400, render_markdown=False)
        gr.ChatInterface(answer, chatbot=turns, api_name="ask", save_history=False, flagging_mode="never")
    return app


def answer_turn(model: DemoModel, text: str, history: list[dict[str, Any]]) -> Iterator[str]:
    """The answer to the next turn of a conversation: all that is written so far, again and again.

    Raises:
        Unanswered: there is nothing to answer, or too much.
        UserError: the turns do not fit the model.
    """
    model.refuse_unusual({model.columns[0]: text})
    written = ""
    for piece in Conversation(model.saved, turns_before=read_turns(history)).answer(text):
        written += piece
        yield written


def read_turns(history: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The turns of a conversation as gradio keeps them: a text, or a list of parts with a text each."""
    turns = []
    for turn in history:
        content = turn["content"]
        if not isinstance(content, str):
            content = "".join(part if isinstance(part, str) else part.get("text", "") for part in content)
        turns.append({"role": turn["role"], "content": content})
    return turns


def make_inputs(model: DemoModel) -> list[Any]:
    """The fields for the columns of a row."""
    if model.media is Media.IMAGE:
        return [without_example(gr.Image(label="Picture", sources=["upload", "clipboard"], height=300))]
    if len(model.columns) == 1:
        return [gr.Textbox(label="Text", lines=5)]
    names = [ORDINALS[place] if place < len(ORDINALS) else f"{place + 1}th" for place in range(len(model.columns))]
    return [gr.Textbox(label=f"{name} text", lines=3) for name in names]


def without_example(field: gr.Image) -> gr.Image:
    """A field without gradio's own example for programs, which lies on another host."""
    # A subclass would make gradio write a .pyi beside us.
    field.example_payload = field.example_value = lambda: None
    return field


def make_map() -> gr.Image:
    """The part that shows a picture under the places that the answer rests on."""
    return make_drawing("Where the model looks: yellow most", height=300)


def make_drawing(label: str, height: int) -> gr.Image:
    """A part that shows a picture.

    No gr.HTML: its templates are compiled in the browser, which the page's policy forbids.
    """
    # Without gradio's button that shares a picture with others.
    return without_example(gr.Image(label=label, interactive=False, format="png", height=height, buttons=["download"]))


def open_picture(shown: Picture) -> Any:
    from PIL import Image

    return Image.open(BytesIO(base64.b64decode(shown.uri.partition(",")[2])))


def make_output(model: DemoModel) -> Any:
    """The part that shows an answer, by its kind of value."""
    kind, choices = model.saved.task.view.answers, model.saved.choices
    if kind is Spans:
        return gr.HighlightedText(label="Answer", show_legend=True)
    if kind in (Boxes, Mask):
        return make_drawing("Answer", height=400)
    if kind is Number:
        return gr.Number(label=f"Answer ({', '.join(choices.labels)})" if choices.labels else "Answer")
    if kind is Choice:
        return gr.Label(label="Answer", num_top_classes=TOP, show_heading=not choices.several)
    return gr.Markdown(label="Answer")


def render(reply: Reply, labels: Sequence[str] = ()) -> tuple[Any, ...]:
    """The value for `make_output`, the note below it, and of a model that is explained the input under its map.

    Args:
        labels: all that the model knows.
    """
    looked_at = [open_picture(reply.looked_at)] if reply.looked_at else []
    return (*render_answer(reply, labels), *looked_at)


def render_answer(reply: Reply, labels: Sequence[str] = ()) -> tuple[Any, str]:
    """The value for `make_output`, and the note below it."""
    match reply.shown:
        case Boxes():
            drawn = open_picture(Picture(draw_boxes(reply.shown)))
            return drawn, reply.note or ("" if reply.shown.boxes else "Nothing was found.")
        case Mask():
            return open_picture(Picture(draw_mask(reply.shown))), reply.note
        case Spans():
            note = reply.note or ("" if reply.shown.spans else "Nothing was found.")
            return highlight(reply.shown), note
        case Number(value, whole):
            return int(value) if whole else value, reply.note
        case Choice(labels, several):
            named = f"Labels: {escape_markdown(', '.join(labels)) or 'none'}" if several else ""
            ranking = dict.fromkeys(labels, 1.0) if reply.likelihoods is None else reply.likelihoods
            return ranking, "\n\n".join(filter(None, (named, reply.note)))
        case _:
            return escape_markdown(to_text(reply.shown)), reply.note


def highlight(shown: Spans) -> dict[str, Any]:
    """Labelled stretches of characters, as gradio takes them."""
    text, places = shown.in_characters()
    spans = [{"entity": label, "start": start, "end": end} for start, end, label in places]
    return {"text": text, "entities": spans}


def example_inputs(model: DemoModel, folder: Path) -> list[list[Any]]:
    """Rows to try, one value per input; pictures become files, because the report holds them inline."""
    rows = report_rows(model.report, model.columns)[:MOST_EXAMPLES]
    if model.media is Media.IMAGE:
        for number, row in enumerate(rows):
            (folder / f"{number}.png").write_bytes(row[model.columns[0]]["bytes"])
        return [[str(folder / f"{number}.png")] for number in range(len(rows))]
    rows = [{model.columns[0]: " ".join(row["tokens"])} if "tokens" in row else row for row in rows]
    return [[row[name] for name in model.columns] for row in rows or model.made_up_rows()]


def examples_label(model: DemoModel) -> str:
    return "Test rows that it got wrong" if report_rows(model.report, model.columns) else "To try"


def launch(
    model: DemoModel, folder: Path, host: str, port: int, *, share: bool, names: Iterable[str] = ()
) -> tuple[gr.Blocks, str]:
    """Serve the page at an address, in threads of its own.

    Args:
        names: further names of this server, which a proxy hands on.

    Raises:
        OSError: the address cannot be used.
    """
    app = build_page(model, folder)
    own = {name.lower() for name in names}
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
        app_kwargs={"middleware": [Middleware(Guard, host=host, names=own)]},
    )
    if public:
        own.add(urlsplit(public).hostname or "")
    return app, public or local
