"""`hfkit chat`: a conversation with a saved model, in the terminal or from lines of the standard input."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from hfkit.errors import UserError
from hfkit.runtime.commands import ANEW, run

if TYPE_CHECKING:
    from hfkit.inference.conversation import Conversation

ANEW_COMMAND = "/new"


def chat(
    model: Annotated[str, typer.Argument(help="output_dir of a run, any folder with a model, or a Hub id")],
    system: Annotated[str | None, typer.Option("--system", help="a message of the system, before all turns")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option("--max_new_tokens", min=1, help="of an answer; default: those of the run")
    ] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0.0, help="0: the likeliest token every time; higher: more at random")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of what is drawn at random")] = 0,
    task: Annotated[str | None, typer.Option("--task", help="what the model does, where its files do not say")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="branch, tag or commit of a Hub id")] = None,
) -> None:
    """Talk to a saved model: its answer appears as it is written.

    Every line is a turn, and the model reads all turns before it; /new begins anew, and the end of the input (Ctrl+D)
    ends it. If lines come from a file or a pipe, each is answered on a line of its own, and nothing else is printed.

        hfkit chat runs/chat-assistant
        hfkit chat runs/chat-assistant --system "Answer in one short sentence." --temperature 0.7

    Exit codes: 0 it was ended; 1 something failed; 2 the model cannot be talked to.
    """

    def talk() -> None:
        from hfkit.inference.conversation import load_conversation
        from hfkit.progress import reserve_stdout

        with reserve_stdout() as stdout:
            conversation = load_conversation(
                model, task=task, revision=revision, system=system, most_tokens=max_new_tokens, temperature=temperature
            )
            conversation.seed(seed)
            answer_lines(conversation, stdout)

    run(talk, ANEW)


def answer_lines(conversation: "Conversation", stdout: TextIO) -> None:
    """Answer every line of the standard input, until it ends."""
    for line in read_lines():
        if line.strip() == ANEW_COMMAND:
            conversation.begin_anew()
        elif line.strip():
            try:
                for piece in conversation.answer(line.strip()):
                    # In a pipe an answer is one line.
                    stdout.write(piece if sys.stdin.isatty() else piece.replace("\n", " "))
                    stdout.flush()
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
            stdout.write("\n")
            stdout.flush()


def read_lines() -> Iterator[str]:
    """The lines of the standard input; in a terminal behind a prompt."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    print(f"{ANEW_COMMAND} begins anew, Ctrl+D ends.", file=sys.stderr)
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        if not (line := sys.stdin.readline()):
            return
        yield line
