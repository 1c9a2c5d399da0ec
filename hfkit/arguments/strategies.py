"""The named ways of reusing a checkpoint, as plain values. A flag set by the user overrides any field."""

from dataclasses import dataclass

FITS = ("no", "judge", "start", "only")


@dataclass(frozen=True)
class Strategy:
    """The settings of a named strategy: which depths learn when, and how fast.

    Shares are shares of the whole training, so that a plan means the same for ten steps and for ten thousand.
    """

    summary: str
    learning_rate: float  # peak rate of the top block
    layer_decay: float = 1.0  # each block below learns at this factor of the one above it
    head_learning_rate: float | None = None  # None: learning_rate
    fit_head: str = "no"  # of FITS: whether the head is fitted to frozen features before the first step, and what for
    head_only: float = 0.0  # share of training in which only the head learns
    unfreeze_stages: int = 1  # equal groups of blocks, thawed from the top down; 0 never thaws a block
    unfreeze_until: float = 0.0  # share of training at which the last group thaws
    thaw_warmup: float = 0.0  # share of training over which a newly thawed group warms up
    lora_rank: int = 0  # above 0: the backbone stays fixed, and low-rank adapters beside it learn
    pretrained: bool = True  # False: the same architecture from random weights
    decided: bool = False  # validation decides after the fit of the head, and after each stage


STRATEGIES: dict[str, Strategy] = {
    "feature-extraction": Strategy(
        summary="the backbone stays frozen, only the new head learns",
        learning_rate=1e-4,
        head_learning_rate=5e-3,
        fit_head="start",
        unfreeze_stages=0,
    ),
    "full": Strategy(summary="every parameter learns at one rate from the first step", learning_rate=1e-4),
    "discriminative": Strategy(
        summary="every parameter learns from the first step, lower blocks more slowly (ULMFiT, ELECTRA)",
        learning_rate=2e-4,
        layer_decay=0.85,
        head_learning_rate=1e-3,
    ),
    "gradual": Strategy(
        summary="head first, then blocks thaw from the top down, lower blocks more slowly (ULMFiT)",
        learning_rate=1e-4,
        layer_decay=0.95,
        head_learning_rate=1e-3,
        fit_head="judge",
        head_only=0.05,
        unfreeze_stages=3,
        unfreeze_until=0.2,
        thaw_warmup=0.05,
    ),
    "lp-ft": Strategy(
        summary="linear probing, then fine-tuning of everything (Kumar et al. 2022)",
        learning_rate=1e-4,
        head_learning_rate=1e-3,
        fit_head="judge",
        head_only=0.15,
        thaw_warmup=0.05,
    ),
    "lora": Strategy(
        summary="low-rank adapters in every linear layer of the blocks, and the head (Hu et al. 2021)",
        learning_rate=1e-3,
        head_learning_rate=1e-3,
        lora_rank=16,
    ),
    "auto": Strategy(
        summary="the head fitted to frozen features and judged, then stages thawed until validation gains no more",
        learning_rate=1e-4,
        layer_decay=0.95,
        head_learning_rate=1e-3,
        fit_head="judge",
        unfreeze_stages=3,
        unfreeze_until=0.4,
        decided=True,
    ),
    "scratch": Strategy(
        summary="the same architecture from random weights: what the checkpoint is worth",
        learning_rate=3e-4,
        pretrained=False,
    ),
}
