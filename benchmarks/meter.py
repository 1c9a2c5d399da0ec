"""What one training run costs: CPU and wall time of its parts, memory, tokens that count, and the machine's peak.

Both drivers, `peers.py` and `ours.py`, are measured by this and write the same cell, so that a cell says who ran it
and nothing else differs. A cell is one JSON file; the test answers lie beside it as `NAME.predictions.json`.
"""

import json
import resource
import shlex
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from datasets import Dataset
from transformers import Trainer, TrainerCallback

from hfkit.runtime.machine import environment, measure

SIDE, TRIES = 1024, 7  # of the square matrices whose product is the peak


class Meter(TrainerCallback):
    """Counts what a trainer's model is given, and times its optimizer steps."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.flops = trainer, {"padded": 0.0}
        self.steps: list[tuple[float, int, int, float]] = []
        self.ready: float | None = None  # CPU seconds of the process when the first step began
        self.parameters: list[torch.nn.Parameter] = []
        trainer.add_callback(self)
        encoder = getattr(trainer.model.base_model, "encoder", None)
        self.config = trainer.model.config
        self.is_text = encoder is not None and getattr(self.config, "intermediate_size", None) is not None
        if self.is_text:
            last = encoder.layer[-1]
            last.register_forward_pre_hook(self._count_attention, with_kwargs=True)
            # A block may leave padding out of all its products but those of attention.
            linear = [module for module in last.modules() if isinstance(module, torch.nn.Linear)][-1]
            linear.register_forward_pre_hook(self._count_tokens)

    def _count_attention(self, module, args, kwargs) -> None:
        rows, length = (args[0] if args else kwargs["hidden_states"]).shape[:2]
        self.flops["padded"] += rows * self.attention_flops(length)

    def _count_tokens(self, module, args) -> None:
        self.flops["padded"] += args[0].shape[:-1].numel() * self.token_flops()

    def attention_flops(self, length: int) -> float:
        """Products of the tokens of one row with each other, in the whole encoder."""
        return self.config.num_hidden_layers * 4 * self.config.hidden_size * length**2

    def token_flops(self) -> float:
        """Products of one token with the weights of the encoder, embeddings and head left out."""
        hidden, inner = self.config.hidden_size, self.config.intermediate_size
        return self.config.num_hidden_layers * 2 * (4 * hidden**2 + 2 * hidden * inner)

    def forward_flops(self, length: int) -> float:
        """Matrix products of one row of `length` tokens through the encoder."""
        return length * self.token_flops() + self.attention_flops(length)

    def real_flops(self, rows: Dataset) -> float:
        return sum(self.forward_flops(len(ids)) for ids in rows["input_ids"])

    def on_step_begin(self, args, state, control, **kwargs):
        if self.ready is None:
            # Once: a walk through all modules in every step took longer than much of what is measured.
            self.parameters = list(kwargs["model"].parameters())
            self.ready = time.process_time()

    def on_step_end(self, args, state, control, **kwargs):
        learning = sum(p.numel() for p in self.parameters if p.requires_grad)
        epoch = int((state.global_step - 1) * args.num_train_epochs // state.max_steps)
        self.steps.append((time.process_time(), epoch, learning, time.perf_counter()))

    def train(self) -> dict[str, Any]:
        """Train, and say what it cost; `steps` are the mean costs of steps within an epoch, by what learnt in them."""
        self.flops["padded"], began = 0.0, time.process_time()
        with measure() as cost:
            self.trainer.train()
        return cost | {
            "steps": self.step_costs(),
            # A head may be fitted without a step.
            "cpu_seconds_to_first_step": None if self.ready is None else self.ready - began,
            "padded_forward_flops": self.flops["padded"],
        }

    def step_costs(self) -> list[dict[str, float]]:
        """CPU and wall seconds of a step, from the end of the one before it; the first of an epoch or stage is not."""
        found: dict[int, list[tuple[float, float]]] = {}
        for (cpu, epoch, learning, wall), after in zip(self.steps, self.steps[1:], strict=False):
            if (epoch, learning) == after[1:3]:
                found.setdefault(learning, []).append((after[0] - cpu, after[3] - wall))
        return [
            {
                "learning_parameters": learning,
                "steps": len(costs),
                "cpu_seconds": sum(cpu for cpu, _ in costs) / len(costs),
                "wall_seconds": sum(wall for _, wall in costs) / len(costs),
            }
            for learning, costs in found.items()
        ]

    def evaluate(self, rows: Dataset, predict: Any, times: int) -> dict[str, Any]:
        """Cost of `predict(rows)`, the median of several times."""
        costs, self.flops["padded"] = [], 0.0
        for _ in range(times):
            with measure() as cost:
                predict(rows)
            costs.append(cost)
        return {
            "rows": len(rows),
            "cpu_seconds": median(cost["cpu_seconds"] for cost in costs),
            "wall_seconds": median(cost["wall_seconds"] for cost in costs),
            "padded_forward_flops": self.flops["padded"] / times,
            "real_forward_flops": self.real_flops(rows) if self.is_text else 0.0,
        }


def matmul_peak() -> float:
    """GFLOP/s of a matrix product with the threads of this process, the best of several in float32 and in bfloat16.

    By CPU time of the threads, like what it is compared with: by the clock, other programs would count.
    """
    best = float("inf")
    for dtype in (torch.float32, torch.bfloat16):
        left, right = torch.rand(2, SIDE, SIDE).to(dtype)
        for _ in range(TRIES):
            began = time.process_time()
            left @ right
            best = min(best, time.process_time() - began)
    return 2 * SIDE**3 / best * torch.get_num_threads() / 1e9


def write_cell(path: Path, answers: dict[str, list], **facts: Any) -> None:
    """The cell, with what every cell says about its run."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cell = facts | {
        "peak_memory_mib": usage.ru_maxrss / 1024,
        "process_cpu_seconds": usage.ru_utime + usage.ru_stime,
        "matmul_gflops": matmul_peak(),
        "environment": environment(),
        "threads": torch.get_num_threads(),
        "command": shlex.join(["python", *sys.argv]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".predictions.json").write_text(json.dumps(answers))
    path.write_text(json.dumps(cell, indent=1) + "\n")
    print(json.dumps({"validation": cell.get("validation"), "test": cell["test"], "train": cell["train_cpu_seconds"]}))
