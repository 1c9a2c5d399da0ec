"""An assistant: a language model that learns the assistant's answers in conversations, and nothing else of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from hfkit.arguments.ranges import COUNT, POSITIVE_COUNT, Range
from hfkit.contract.target import Nothing
from hfkit.contract.task import Sample
from hfkit.samples.errands import sample_errands
from hfkit.tasks.language.chat_codec import ChatCodec
from hfkit.tasks.language.chat_view import ConversationView
from hfkit.tasks.language.conversations import Conversations
from hfkit.tasks.language.flags import Language
from hfkit.tasks.language.judges import LikelihoodJudge


@dataclass(frozen=True)
class Chat(Language):
    """Conversations of a user and an assistant."""

    messages_column: str | None = field(
        default=None, metadata={"help": "column of lists of messages; default: the one named messages or the like"}
    )
    prompt_column: str | None = field(
        default=None, metadata={"help": "column of prompts; default: the one named prompt, instruction or the like"}
    )
    response_column: str | None = field(
        default=None, metadata={"help": "column of responses; default: the one named completion, output or the like"}
    )
    system_message: Literal["keep", "merge", "drop"] = field(
        default="keep",
        metadata={
            "help": "what becomes of a system's message: merge puts it before the user's first turn, for templates that"
            " refuse it"
        },
    )
    max_new_tokens: int = field(default=128, metadata={"help": "tokens of an answer that is written, at most"})
    exact_match_tokens: int = field(
        default=0,
        metadata={
            "help": "also write the last answers that have so few tokens, in every evaluation, and compare them with"
            " the gold ones; 0: none"
        },
    )

    key: ClassVar[str] = "chat"
    ranges: ClassVar[Mapping[str, Range]] = {
        "max_new_tokens": POSITIVE_COUNT,
        "exact_match_tokens": COUNT,
    }
    sample: ClassVar[Sample] = Sample("sample-gpt2", sample_errands, license="apache-2.0", language="en")

    @property
    def rows(self) -> Conversations:
        return Conversations(
            self.messages_column, self.prompt_column, self.response_column, self.unit_column, self.sample.rows
        )

    @property
    def judge(self) -> LikelihoodJudge:
        return LikelihoodJudge(exact=self.exact_match_tokens > 0)

    @property
    def view(self) -> ConversationView:
        return ConversationView()

    def codec(self, checkpoint: str, target: Nothing) -> ChatCodec:
        return ChatCodec(
            checkpoint,
            self.path(checkpoint),
            self.head_config(target),
            max_length=self.max_length,
            stride=self.stride,
            system=self.system_message,
            most_tokens=self.max_new_tokens,
            exact_tokens=self.exact_match_tokens,
        )
