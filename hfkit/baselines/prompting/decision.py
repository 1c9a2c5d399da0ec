"""A chat model asked a typed question: the letter of one option of several, by the logits of the letters.

The prompts are those of transformers' decision pipeline, and the answers are equal to its own. That one runs a pass
for each row; here rows share the beginning of their prompts and go in batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, ClassVar

import numpy as np
from accelerate import PartialState
from jinja2 import TemplateError
from scipy.special import softmax
from transformers import PreTrainedTokenizerBase as Tokenizer
from transformers.decision import DecisionConfig, label_token_ids

from hfkit.baselines.base import Answers, Baseline
from hfkit.baselines.logits import label_head, learnt_target, target_rows
from hfkit.baselines.prompting.language_models import load_language_model, longest_prompt
from hfkit.baselines.prompting.layout import Request, refuse_template
from hfkit.baselines.prompting.prompting import name_answers, read_options
from hfkit.baselines.prompting.scoring import Scorer
from hfkit.contract.abilities import AskedInParts, Headed, Prompt, Prompted
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError, first_line

MOST = len(ascii_uppercase)  # options that have a letter


@dataclass(frozen=True)
class Decision(Baseline):
    """The likeliest letter of the options, each with its probability, after one pass over the prompt."""

    prompt_checkpoint: str
    label_texts: str | None = None  # JSON, see `label_texts.read_label_texts`

    name: ClassVar[str] = "decision"
    description: ClassVar[str] = "a chat model that answers a typed question by the letter of an option"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """Predictions of every test row; probabilities are the softmax over the letters.

        Raises:
            UserError: the task has no answers to choose from or too many, or the checkpoint cannot be asked.
        """
        if not isinstance(task, Prompted):
            raise UserError(f"task '{task.key}'", "a prompt cannot do this task", "Use another baseline")
        rows = Loaded(rows.splits, learnt_target(task, rows))
        texts = name_answers(task, rows, self.label_texts)
        if isinstance(task, AskedInParts):
            parts = [task.ask_parts(row, texts) for row in rows["test"]]
            scores, facts = self.ask([prompt for of_row in parts for prompt in of_row], task)
            chosen = iter(scores)
            options = [[prompt.options[int(next(chosen).argmax())] for prompt in of_row] for of_row in parts]
            joined = [task.join_parts(row, texts, of_row) for row, of_row in zip(rows["test"], options, strict=True)]
            return Answers(joined, facts=facts)
        head = label_head(task, rows, self.name) if isinstance(task, Headed) else None
        prompts = [task.prompt(row, texts, ()) for row in rows["test"]]
        scores, facts = self.ask(prompts, task)
        if head is None:
            return Answers(read_options(task, prompts, scores, rows["test"], texts), facts=facts)
        logs = np.array(scores)  # of each letter, and the next token is one of all: only differences count
        test = target_rows(head, rows["test"])
        return Answers(head.decode_reduced(logs, test), softmax(logs, axis=-1), facts)

    def ask(self, prompts: Sequence[Prompt], task: Task) -> tuple[list[np.ndarray], dict[str, Any]]:
        """The logits of the letters of each prompt's options, and facts about the prompts."""
        for count in sorted({len(prompt.options) for prompt in prompts}):
            refuse_options(count, task.key)
        model, tokenizer = load_language_model(self.prompt_checkpoint)
        asked = Questions(tokenizer, longest_prompt(model, tokenizer), self.prompt_checkpoint)
        requests = asked.write(prompts)
        scores = Scorer(model.to(PartialState().device)).score(requests, desc=self.name) if requests else []
        return scores, {
            "prompt_checkpoint": self.prompt_checkpoint,
            "prompts": len(prompts),
            "prompts_cut": asked.cut,
        }


class Questions:
    """Prompts as requests of the decision pipeline: the row is its state, the instruction its question.

    Args:
        longest: tokens that the model reads.

    Raises:
        UserError: the tokenizer has no chat template.
    """

    def __init__(self, tokenizer: Tokenizer, longest: int, checkpoint: str) -> None:
        if tokenizer.chat_template is None:
            raise UserError(
                f"prompt_checkpoint '{checkpoint}'",
                "a decision is asked in the turns of a chat, and its tokenizer has no chat template",
                "Use a checkpoint that was trained on instructions, or --baseline zero-shot-prompt",
            )
        self.tokenizer, self.longest, self.checkpoint = tokenizer, longest, checkpoint
        self.config = DecisionConfig()
        self.cut = 0  # rows that lost their end, to leave room for the question

    def write(self, prompts: Sequence[Prompt]) -> list[Request]:
        """The requests in tokens, with one token for each option."""
        letters = self.find_letters(max(len(prompt.options) for prompt in prompts))
        return [Request(self.tokenise(prompt), letters[: len(prompt.options)]) for prompt in prompts]

    def tokenise(self, prompt: Prompt) -> tuple[int, ...]:
        state = prompt.query
        ids = self.render(state, prompt)
        if len(ids) <= self.longest:
            return ids
        self.cut += 1
        offsets = self.tokenizer(state, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        room = len(offsets) - (len(ids) - self.longest)
        if room < 1:
            rule = f"the question alone has more than the {self.longest} tokens that the model reads"
            raise UserError(f"prompt_checkpoint '{self.checkpoint}'", rule, "Use another checkpoint, or shorter labels")
        while len(ids) > self.longest:  # where a text is cut, its last word may have more tokens than before
            ids = self.render(state[: offsets[room - 1][1]], prompt)
            room -= 1
        return ids

    def render(self, state: str, prompt: Prompt) -> tuple[int, ...]:
        try:
            [(inputs, _)] = self.config.prepare_inputs(request_of(state, prompt), self.tokenizer)
        except (TemplateError, TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise refuse_template(f"it refuses the turn of a user ({first_line(error)})") from error
        return tuple(inputs["input_ids"][0].tolist())

    def find_letters(self, count: int) -> tuple[tuple[int, ...], ...]:
        """The token of each option's letter.

        Raises:
            UserError: a letter is no token of its own.
        """
        try:
            return tuple((token,) for token in label_token_ids(self.tokenizer, tuple(ascii_uppercase[:count])))
        except ValueError as error:
            fix = "Use another checkpoint, or --baseline zero-shot-prompt"
            raise UserError(f"prompt_checkpoint '{self.checkpoint}'", str(error), fix) from error


def request_of(state: str, prompt: Prompt) -> dict[str, Any]:
    """A prompt in the pipeline's form."""
    criteria: Mapping[str, None] = dict.fromkeys(prompt.options)
    question = {"type": "choice", "instructions": prompt.instruction, "criteria": criteria}
    return {"state": state, "questions": {"answer": question}}


def refuse_options(count: int, task: str) -> None:
    """Refuse what has no answers to choose from, or more than there are letters.

    Raises:
        UserError: naming the task.
    """
    fix = "Use --baseline zero-shot-prompt"
    if count == 0:
        raise UserError(f"task '{task}'", "a decision chooses one of several answers, and here they are written", fix)
    if count > MOST:
        raise UserError(f"{count} options", f"a decision has a letter for each option, {MOST} at most", fix)
