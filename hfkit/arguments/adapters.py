"""The flags of adapters: small parts that learn beside frozen weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from hfkit.arguments.parse import require_choice
from hfkit.arguments.ranges import POSITIVE_COUNT, Range
from hfkit.arguments.strategies import STRATEGIES, Strategy
from hfkit.errors import UserError


@dataclass(frozen=True)
class Kind:
    """A kind of adapter."""

    summary: str
    parts: str  # what learns, for people; its size in place of {}
    learning_rate: float  # peak rate with strategy=lora
    sized: str | None = None  # the flag that says how large it is
    size: int = 0  # the flag's value if it is not given
    merges: bool = True  # False: what learns is read beside the rows, and no weights can hold it
    beside: tuple[str, ...] = ()  # the widths of weights beside which peft trains it and takes it off again


WIDTHS = ("8bit", "4bit")
KINDS: dict[str, Kind] = {
    "lora": Kind(
        "a product of two low-rank matrices beside the weights (Hu et al. 2021)",
        "low-rank adapters (LoRA of rank {})",
        1e-3,
        "lora_rank",
        STRATEGIES["lora"].lora_rank,
        beside=WIDTHS,
    ),
    "dora": Kind(
        "that, and the length of each row of the weights (Liu et al. 2024)",
        "low-rank adapters with lengths (DoRA of rank {})",
        1e-3,
        "lora_rank",
        STRATEGIES["lora"].lora_rank,
        beside=("4bit",),
    ),
    "ia3": Kind(
        "a factor for each output, or for each input where a layer narrows (Liu et al. 2022)",
        "factors of activations (IA3)",
        1e-2,
    ),
    "vera": Kind(
        "two vectors around random matrices that all layers share (Kopiczko et al. 2024)",
        "vectors around shared random matrices (VeRA of rank {})",
        1e-2,
        "lora_rank",
        256,
        beside=WIDTHS,
    ),
    "oft": Kind(
        "a rotation of the inputs, in blocks (Qiu et al. 2023)",
        "rotations of inputs (OFT in blocks of {})",
        1e-3,
        "oft_block_size",
        32,
        beside=WIDTHS,
    ),
    "prefix": Kind(
        "keys and values of virtual tokens before those of the rows, in every block (Li and Liang 2021)",
        "keys and values of {} virtual tokens (prefix tuning)",
        1e-2,
        "virtual_tokens",
        20,
        merges=False,
    ),
    "prompt": Kind(
        "embeddings of virtual tokens before those of the rows (Lester et al. 2021)",
        "embeddings of {} virtual tokens (prompt tuning)",
        1e-2,
        "virtual_tokens",
        20,
        merges=False,
    ),
}
BESIDE = {name: " or ".join(kind.beside) for name, kind in KINDS.items() if kind.beside}
SIZES = {kind.sized for kind in KINDS.values() if kind.sized is not None}
OF_CHECKPOINTS = ("merge", "train")


@dataclass
class AdapterArguments:
    """Flags of adapters."""

    adapter: Literal[tuple(KINDS)] | None = field(  # type: ignore[valid-type]
        default=None,
        metadata={
            "help": "the kind of adapter that learns, beside frozen weights; default: lora where --lora_rank asks for"
            " one, and with strategy=lora. In every linear layer of the blocks: "
            + "; ".join(f"{name}: {kind.summary}" for name, kind in KINDS.items() if kind.merges)
            + ". Read beside the rows: "
            + "; ".join(f"{name}: {kind.summary}" for name, kind in KINDS.items() if not kind.merges)
        },
    )
    lora_rank: int | None = field(
        default=None,
        metadata={
            "help": "rank of low-rank adapters beside a frozen backbone; 0 trains the weights. Default with an adapter:"
            f" {', '.join(f'{kind.size} ({name})' for name, kind in KINDS.items() if kind.sized == 'lora_rank')}"
        },
    )
    oft_block_size: int | None = field(
        default=None,
        metadata={
            "help": f"inputs that adapter=oft rotates together, default {KINDS['oft'].size}; the nearest number that"
            " divides a layer's inputs is taken"
        },
    )
    virtual_tokens: int | None = field(
        default=None,
        metadata={"help": f"tokens that adapter=prefix or prompt puts before a row, default {KINDS['prompt'].size}"},
    )
    checkpoint_adapter: Literal[OF_CHECKPOINTS] = field(  # type: ignore[valid-type]
        default="merge",
        metadata={
            "help": "what becomes of a checkpoint that is an adapter: merge: it goes into its base; train: with"
            " strategy=lora, its own matrices go on learning"
        },
    )
    quantize: Literal[WIDTHS] | None = field(  # type: ignore[valid-type]
        default=None,
        metadata={
            "help": "keep the frozen linear layers in so many bits while adapters learn beside them, with bitsandbytes;"
            f" with adapter={', '.join(f'{name} ({widths})' for name, widths in BESIDE.items())}"
        },
    )

    ranges: ClassVar[Mapping[str, Range]] = {"oft_block_size": Range(2, 2**16), "virtual_tokens": POSITIVE_COUNT}

    @property
    def adapted(self) -> bool:
        """True if adapters learn beside frozen weights."""
        return self.adapter is not None

    def fit_strategy(self, chosen: Strategy) -> Strategy:
        """The settings that a strategy has with the kind of adapter that is asked for, whose own flags are completed.

        Raises:
            UserError: flags of adapters do not go together, or not with the strategy.
        """
        require_choice("checkpoint_adapter", self.checkpoint_adapter, OF_CHECKPOINTS)
        if self.checkpoint_adapter == "train":
            self._require_lora()
            self.adapter = "lora"
            self._refuse_sizes("lora_rank")
            self._require_floats("checkpoint_adapter=train")
            return replace(chosen, lora_rank=None)  # until the adapter is read
        asked, rank = self.adapter, chosen.lora_rank if self.lora_rank is None else self.lora_rank
        if self.strategy == "lora" and rank == 0 and asked is None:
            raise UserError("lora_rank=0", "strategy=lora trains adapters of rank 1 or more", "Try --strategy full")
        self.adapter = asked or ("lora" if rank > 0 else None)
        if self.adapter is None:
            self._refuse_sizes(None)
            self._require_floats(f"strategy={self.strategy}")
            return chosen
        kind = KINDS[require_choice("adapter", self.adapter, KINDS)]
        self._refuse_sizes(kind.sized)
        self._refuse_idle(chosen, f"adapter={asked}" if asked else f"lora_rank={rank}")
        if self.quantize is not None and require_choice("quantize", self.quantize, WIDTHS) not in kind.beside:
            self._require_floats(f"adapter={self.adapter}")
        if asked is not None:
            self._take_size(kind)
        if asked is not None and self.strategy == "lora":
            chosen = replace(chosen, learning_rate=kind.learning_rate)
        return replace(chosen, lora_rank=rank if kind.sized == "lora_rank" else 0)

    def _take_size(self, kind: Kind) -> None:
        """Give the kind that was asked for its usual size, unless one was given."""
        if kind.sized is None:
            return
        given = vars(self)[kind.sized]
        if given == 0:
            raise UserError(f"adapter={self.adapter}, {kind.sized}=0", "it is 1 or more", "Leave one of them out")
        setattr(self, kind.sized, kind.size if given is None else given)

    def _require_floats(self, given: str) -> None:
        """Refuse weights in few bits beside something that learns otherwise, or that peft does not take off them."""
        if self.quantize is not None:
            learners = ", ".join(f"{name} ({widths})" for name, widths in BESIDE.items())
            raise UserError(
                f"quantize={self.quantize} with {given}",
                f"weights in few bits cannot learn, and the adapters beside them are {learners}",
                "Set --strategy lora with one of these, or leave out --quantize",
            )

    def _refuse_sizes(self, sized: str | None) -> None:
        """Refuse a size that the kind of adapter does not have."""
        for name in sorted(SIZES - {sized}):
            if vars(self)[name]:
                of = " and ".join(one for one, kind in KINDS.items() if kind.sized == name)
                given = f" with adapter={self.adapter}" if self.adapter else ""
                raise UserError(f"{name}={vars(self)[name]}{given}", f"it is a size of {of} alone", "Leave it out")

    def _refuse_idle(self, chosen: Strategy, given: str) -> None:
        """Refuse an adapter that would never learn, or that could not be put on its base again."""
        stages = chosen.unfreeze_stages if self.unfreeze_stages is None else self.unfreeze_stages
        if stages == 0:
            raise UserError(
                f"{given} with unfreeze_stages=0",
                "adapters stand in the blocks, and none of these would ever learn",
                "Set --strategy lora, or leave the adapter out",
            )
        drawn = not (chosen.pretrained if self.pretrained is None else self.pretrained)
        if drawn and not KINDS[self.adapter].merges:
            raise UserError(
                f"{given} with pretrained=False",
                "it is saved without its base, and one of random weights cannot be had again",
                "Use --adapter lora, or a checkpoint's weights",
            )

    def _require_lora(self) -> None:
        """Refuse to train on the adapter of a checkpoint in another way than it began."""
        given = None
        if self.strategy != "lora":
            given = f"strategy={self.strategy}"
        elif self.pretrained is False:
            given = "pretrained=False"
        elif self.adapter not in (None, "lora"):
            given = f"adapter={self.adapter}"
        if given is not None:
            raise UserError(
                f"checkpoint_adapter=train with {given}",
                "the matrices of an adapter go on learning beside the weights of its base",
                "Set --strategy lora alone, or leave out --checkpoint_adapter",
            )


def kind_of(settings: Mapping[str, Any]) -> Kind | None:
    """The kind of adapter that a run with these settings trained; None if it trained weights."""
    name = settings.get("adapter")
    if name not in KINDS:  # a report of before there were others than LoRA
        name = "lora" if settings.get("lora_rank") else None
    return KINDS.get(name)


def describe_parts(settings: Mapping[str, Any]) -> str | None:
    """The parts that learnt beside frozen weights in a run with these settings, in words; None if weights learnt."""
    kind = kind_of(settings)
    return kind and kind.parts.format(settings.get(kind.sized or ""))
