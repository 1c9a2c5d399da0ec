"""The promises of a plan, checked while it runs: frozen stays bit-identical, thawed moves, replicas stay equal."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from hfkit.errors import UserError
from hfkit.model.digests import digest
from hfkit.model.parallel import gather_whole, is_sharded, local_part, sum_over_processes
from hfkit.model.unfreezing import Unfreezing, saved_state

COMPARED_EVERY = 500  # steps: replicas, besides at every thaw, save and the end
LEAST = 1e-30  # a gradient; what an optimizer makes of smaller ones may round to nothing
PATIENCE = 5  # steps that a thawed depth may go without a gradient: some models skip blocks at random


class BrokenPromise(RuntimeError):
    """Training did something else than the plan says. The run stops: its numbers would describe another method."""


class NonFinite(RuntimeError):
    """A loss or gradient is nan or infinite. Raised before the optimizer step: the weights are untouched."""


def refuse_non_finite(step: int, loss: Tensor, learning: Iterable[tuple[str, nn.Parameter]]) -> Tensor | None:
    """Stop before the optimizer step if the loss, or a gradient of what is `learning`, is not finite.

    Returns:
        The norm of every gradient; None where there is none, or where processes hold parts of one.

    Raises:
        NonFinite: naming the step and the tensors.
    """
    named = [(name, parameter.grad) for name, parameter in learning if parameter.grad is not None]
    gradients = [gradient for _, gradient in named]
    norms = torch.stack(torch._foreach_norm([local_part(g) for g in gradients])) if named else torch.zeros(1)
    norms = sum_over_processes(norms, gradients)
    if torch.isfinite(loss).all() and torch.isfinite(norms).all():
        return norms if named and not any(map(is_sharded, gradients)) else None
    bad = [name for (name, _), norm in zip(named, norms, strict=False) if not torch.isfinite(norm)]
    tensors = f"; {len(bad)} non-finite gradients, first {', '.join(bad[:5])}" if bad else ""
    raise NonFinite(
        f"step {step + 1}: loss {loss.item()}{tensors}. Training stopped before the optimizer step, the weights are"
        " those of the step before. Lower learning_rate or head_learning_rate, or look at the batch for bad values."
    )


class Invariants(TrainerCallback):
    """Checks the promises of an `Unfreezing` and counts what it checked, for the report.

    - frozen: parameters and buffers of every frozen depth have the same bits at their thaw, or the end, as at start;
    - thawed: within a few optimizer steps some parameter of every newly thawed depth has a gradient, and at the first
      such step with a rate above zero it moves;
    - judged: the score that is to choose the best epoch is one that the task has;
    - replicas: all processes hold the same trainable weights at every stage, every 500 steps, at saves and at the end.
    """

    def __init__(self, unfreezing: Unfreezing) -> None:
        self.unfreezing = unfreezing
        self.checked = {"frozen_depths_unchanged": 0, "thawed_depths_moved": 0, "replica_comparisons": 0}

    def _of_depth(self, model: nn.Module, depth: int) -> list[Tensor]:
        always = self.unfreezing.always_frozen
        if depth < 0:  # what a user or peft had frozen, at any depth
            return [p for name, p in model.named_parameters() if name in always]
        state = saved_state(model, self.unfreezing.depths)
        return [value for name, value, at in state if at == depth and name not in always]

    # Ahead of Unfreezing in the trainer's callbacks: thawing rebuilds the distributed wrapper, which copies process 0's
    # weights to the others and would hide that they had drifted apart.

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        lowest = self.unfreezing.plan.lowest_trainable(state.global_step)
        self._frozen = {depth: digest(self._of_depth(model, depth)) for depth in range(-1, lowest)}
        self._lowest, self._to_move = lowest, set()
        self._steps_without_gradient: dict[int, int] = {}
        self._compare_replicas(args, state, model)
        self._expect_to_move(range(lowest, self.unfreezing.depths.head + 1), model)

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        lowest = self.unfreezing.plan.lowest_trainable(state.global_step)
        if lowest != self._lowest:
            thawed = range(lowest, self._lowest)
            self._verify_frozen(thawed, state, model)
            self._compare_replicas(args, state, model)
            self._expect_to_move(thawed, model)
            self._lowest = lowest
        elif state.global_step % COMPARED_EVERY == COMPARED_EVERY - 1:
            self._compare_replicas(args, state, model)

    def _expect_to_move(self, depths: Iterable[int], model: nn.Module) -> None:
        placed, always = self.unfreezing.depths.parameters, self.unfreezing.always_frozen
        learning = {depth for name, depth in placed.items() if name not in always}
        thawed = learning.intersection(depths)
        self._to_move |= thawed
        self._steps_without_gradient |= dict.fromkeys(thawed, 0)

    def on_pre_optimizer_step(self, args, state, control, model=None, optimizer=None, **kwargs):
        if not self._to_move:
            return
        self._before: dict[int, list[tuple[Tensor, int, float]]] = {}
        rates = {group["depth"]: group["lr"] for group in optimizer.param_groups}
        for name, parameter in model.named_parameters():
            depth = self.unfreezing.depths.parameters[name]
            if depth not in self._to_move or parameter.grad is None:
                continue
            self._steps_without_gradient.pop(depth, None)
            gradient = gather_whole(parameter.grad).flatten()
            steepest = gradient.abs().argmax().item()
            if rates[depth] > 0 and gradient[steepest].abs() > LEAST:
                value = gather_whole(parameter.detach()).flatten()[steepest].item()
                self._before.setdefault(depth, []).append((parameter, steepest, value))
        for depth in self._steps_without_gradient:
            self._steps_without_gradient[depth] += 1
        silent = sorted(depth for depth, steps in self._steps_without_gradient.items() if steps >= PATIENCE)
        if silent:
            raise BrokenPromise(
                f"step {state.global_step + 1}: in {PATIENCE} steps no parameter of depths {silent} received a"
                " gradient although the plan trains them. The model does not use them in its forward pass, or an"
                " operation in between detaches the graph."
            )

    def on_optimizer_step(self, args, state, control, optimizer=None, **kwargs):
        # Under fp16 the gradient scaler skips a step whose gradients overflow.
        if not self._to_move or optimizer.step_was_skipped:
            return
        for depth, watched in self._before.items():
            now = [gather_whole(parameter.detach()).flatten()[i].item() for parameter, i, _ in watched]
            if now == [value for _, _, value in watched]:
                raise BrokenPromise(
                    f"step {state.global_step + 1}: depth {depth} was thawed, has a gradient and a learning rate above"
                    " zero, and did not move. The optimizer does not hold its parameters."
                )
            self._to_move.discard(depth)
            self.checked["thawed_depths_moved"] += 1
        self._before = {}

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        wanted = f"eval_{(args.metric_for_best_model or 'loss').removeprefix('eval_')}"
        # Of several validation sets each is evaluated by itself, under its own name.
        if "eval_loss" in metrics and wanted not in metrics:
            known = [name.removeprefix("eval_") for name in metrics if name.startswith("eval_")]
            raise UserError(
                f"metric_for_best_model='{args.metric_for_best_model}'",
                f"it is a score of this task: {', '.join(known)}",
                "Leave it out, or name one of them",
            )

    def on_save(self, args, state, control, model=None, **kwargs):
        self._compare_replicas(args, state, model)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        self._verify_frozen(range(-1, self._lowest), state, model)
        self._compare_replicas(args, state, model)

    def _verify_frozen(self, depths: Iterable[int], state, model: nn.Module) -> None:
        for depth in depths:
            if digest(self._of_depth(model, depth)) != self._frozen[depth]:
                where = f"depth {depth}" if depth >= 0 else "the parameters frozen before training"
                raise BrokenPromise(f"step {state.global_step + 1}: {where} changed while it was frozen.")
            self.checked["frozen_depths_unchanged"] += 1

    def _compare_replicas(self, args, state, model: nn.Module) -> None:
        replicated = [p for p in model.parameters() if p.requires_grad and not is_sharded(p)]
        if args.world_size == 1 or not replicated:
            return
        mine = torch.frombuffer(bytearray(digest(replicated)), dtype=torch.int64)
        mine = mine.to(args.device)
        everyone = [torch.empty_like(mine) for _ in range(args.world_size)]
        torch.distributed.all_gather(everyone, mine)
        different = [rank for rank, theirs in enumerate(everyone) if not torch.equal(theirs, everyone[0])]
        if different:
            raise BrokenPromise(
                f"step {state.global_step + 1}: processes {different} hold other weights than process 0."
            )
        self.checked["replica_comparisons"] += 1
