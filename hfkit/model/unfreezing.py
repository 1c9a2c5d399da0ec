"""Which depths learn at which step, and the callback that freezes and thaws them."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle
from transformers import TrainerCallback

from hfkit.errors import UserError
from hfkit.model.depth import Depths

# torch.compile makes one graph per trainable set and gives up after 8.
MOST_STAGES = 6


@dataclass(frozen=True)
class FreezePlan:
    """The lowest depth that learns, as a pure function of the optimizer step: a resumed run needs no saved state."""

    starts: tuple[int, ...]  # first optimizer step of each stage; starts[0] is 0
    lowest: tuple[int, ...]  # lowest depth that learns in each stage, descending

    def stage(self, step: int) -> int:
        """Number of the stage, from 0, that `step` belongs to."""
        return bisect_right(self.starts, step) - 1

    def lowest_trainable(self, step: int) -> int:
        """Depth: everything below it is frozen at `step`."""
        return self.lowest[self.stage(step)]

    def thaw_step(self, depth: int) -> int | None:
        """The first step at which `depth` learns; None if it never does."""
        return next((start for start, low in zip(self.starts, self.lowest, strict=True) if low <= depth), None)

    def restricted_to(self, first: int, last: int, head: int) -> "FreezePlan":
        """This plan, restricted to the head and the depths `first` to `last`."""
        stages: dict[int, int] = {}
        for start, low in zip(self.starts, self.lowest, strict=True):
            lowest = max(low, first) if low <= last else head
            if lowest not in stages.values():
                stages[start] = lowest
        return FreezePlan(tuple(stages), tuple(stages.values()))


def make_plan(
    head: int, total_steps: int, *, head_only: float, unfreeze_stages: int, unfreeze_until: float, bottom: int = 0
) -> FreezePlan:
    """The plan of a strategy: first the head alone, then the depths below it in equal groups, from the top down.

    Args:
        head: depth of the head, N + 1.
        head_only: share of training in which only the head learns.
        unfreeze_stages: number of groups in which the depths thaw; with 0 none of them ever does.
        unfreeze_until: share of training at which the last group thaws; later stages are spread evenly before it.
        bottom: the lowest depth that thaws.

    Raises:
        UserError: more stages than the model has depths or torch.compile tolerates, or shares outside 0..1.
    """
    for name, share in (("head_only", head_only), ("unfreeze_until", unfreeze_until)):
        if not 0 <= share < 1:
            raise UserError(f"{name}={share}", "it is a share of the whole training, from 0 to below 1", "Try 0.2")
    if unfreeze_stages == 0:
        return FreezePlan((0,), (head,))
    most = min(head, MOST_STAGES - (head_only > 0))
    if not 0 < unfreeze_stages <= most:
        raise UserError(
            f"unfreeze_stages={unfreeze_stages}",
            f"from 0 to {most} here: the model has {head} depths below the head, and torch.compile allows {MOST_STAGES}"
            " stages in all",
            f"Use {most} or fewer",
        )
    gaps = max(1, unfreeze_stages - 1)
    spread = max(0.0, unfreeze_until - head_only)
    shares = [head_only + spread * i / gaps for i in range(unfreeze_stages)]
    starts = [round(share * total_steps) for share in shares]
    learning = head - bottom
    lowest = [bottom + round(learning * (unfreeze_stages - 1 - i) / unfreeze_stages) for i in range(unfreeze_stages)]
    if starts[0] > 0:
        starts, lowest = [0, *starts], [head, *lowest]
    # In a very short training several stages begin at the same step. The last of them wins: dict keys are unique.
    stages = dict(zip(starts, lowest, strict=True))
    # Of more groups than depths some are empty.
    return FreezePlan(tuple(stages), tuple(stages.values())).restricted_to(bottom, head, head)


def _is_frozen_norm(module: nn.Module) -> bool:
    """Whether the module keeps running statistics beside frozen weights (under adapters this happens at any depth)."""
    own = list(module.parameters(recurse=False))
    return bool(own) and not any(p.requires_grad for p in own) and any(True for _ in module.buffers(recurse=False))


def _set_training(modules: list[nn.Module], mode: bool) -> None:
    for module in modules:
        # Bypasses torch's __setattr__, which asks of every value whether it is a parameter: forty times as fast.
        module.__dict__["training"] = mode


def saved_state(model: nn.Module, depths: Depths) -> Iterator[tuple[str, Tensor, int]]:
    """Name, value and depth of every parameter and every saved buffer.

    Buffers that are not saved are scratch space: a rotary embedding may recompute its table for a longer input.
    """
    for name, parameter in model.named_parameters():
        yield name, parameter, depths.parameters[name]
    saved = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if name in saved:
            yield name, buffer, depths.modules[name.rpartition(".")[0]]


class Unfreezing(TrainerCallback):
    """Applies a `FreezePlan` when training begins and at the first micro-batch of every optimizer step.

    It acts after the model is wrapped and the optimizer is loaded, and never inside an accumulation window. What the
    user (or peft) had frozen before stays frozen. A forward hook holds frozen modules in `eval()`, whoever calls
    `model.train()`: a frozen BatchNorm would keep moving its statistics, and a frozen dropout would keep drawing.
    """

    def __init__(self, model: nn.Module, blocks: tuple[str, ...] = ()) -> None:
        self.depths = Depths.of(model, blocks)
        # By the user or by peft, before this callback saw the model.
        self.always_frozen: Set[str] = {name for name, p in model.named_parameters() if not p.requires_grad}
        self.plan: FreezePlan | None = None  # set by the trainer once the number of steps is known
        self.on_change: Callable[[], None] = lambda: None  # the trainer rebuilds its distributed wrapper here
        self.lowest: int | None = None
        self.trainable: list[tuple[str, nn.Parameter]] = []  # at the current step
        self._frozen_modules: list[nn.Module] = []
        self._other_modules: list[nn.Module] = []
        self._hook: RemovableHandle | None = None
        # Within an optimizer step: the optimizer, and all its groups while it sees only some of them.
        self._shortened: tuple[Optimizer, list[dict]] | None = None

    def learns(self, name: str, lowest: int) -> bool:
        """Whether the parameter `name` is trained while `lowest` is the lowest trainable depth."""
        return self.depths.parameters[name] >= lowest and name not in self.always_frozen

    def apply(self, model: nn.Module, lowest: int) -> None:
        """Freeze everything below `lowest` and thaw the rest."""
        if lowest == self.lowest:
            return
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(self.learns(name, lowest))
            if not parameter.requires_grad:
                parameter.grad = None  # a stale gradient would still move the weight at the next optimizer step
        self.trainable = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        frozen = {
            id(module)
            for name, module in model.named_modules()
            if self.depths.modules[name] < lowest or _is_frozen_norm(module)
        }
        self._frozen_modules = [module for module in model.modules() if id(module) in frozen]
        self._other_modules = [module for module in model.modules() if id(module) not in frozen]
        self.lowest = lowest
        self.on_change()

    def hold_frozen_in_eval(self, *_) -> None:
        """Put all frozen modules back into `eval()`; also a forward pre-hook."""
        _set_training(self._frozen_modules, False)

    # With only a head to train, half of each step went into torch's own walks through all modules: two to set modes,
    # one to reset gradients. During training these two methods take their place and work from lists.

    def _train(self, mode: bool = True) -> nn.Module:
        _set_training(self._other_modules, mode)
        _set_training(self._frozen_modules, False)
        return self._model

    def _zero_grad(self, set_to_none: bool = True) -> None:
        for _, parameter in self.trainable:
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.zero_()

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        # A second train() on the same trainer starts from the plan, not from where the first one ended.
        self.lowest = None
        self._hook = model.register_forward_pre_hook(self.hold_frozen_in_eval)
        self._model = model
        model.__dict__.update(train=self._train, zero_grad=self._zero_grad)
        # Not earlier: DDP registers what requires gradients when it wraps the model, and never synchronises the rest.
        self.apply(model, self.plan.lowest_trainable(state.global_step))

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        self.apply(model, self.plan.lowest_trainable(state.global_step))

    def on_pre_optimizer_step(self, args, state, control, optimizer=None, **kwargs):
        # Hide the frozen groups: skipping their parameters takes the optimizer as long as the step of a head alone.
        groups = list(optimizer.param_groups)
        self._shortened = optimizer, groups
        optimizer.param_groups[:] = [group for group in groups if group["depth"] >= self.lowest]

    def on_optimizer_step(self, args, state, control, **kwargs):
        self._restore_groups()

    def _restore_groups(self) -> None:
        if self._shortened is not None:
            optimizer, groups = self._shortened
            optimizer.param_groups[:] = groups
            self._shortened = None

    def release(self, model: nn.Module) -> None:
        """Give model and optimizer back as they came, also after an interrupted training. Safe to call twice."""
        # After Ctrl+C within an optimizer step, the next train() would miss groups and blame the user's optimizer.
        self._restore_groups()
        if self._hook is None:
            return
        self._hook.remove()
        self._hook = None
        for name in ("train", "zero_grad"):
            del model.__dict__[name]
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in self.always_frozen)
