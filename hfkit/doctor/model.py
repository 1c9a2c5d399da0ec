"""The checkpoint: whether it can be read, cut into depths, and trained in the memory of this machine."""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from hfkit.arguments.recipe import RecipeArguments
from hfkit.arguments.training import TransferArguments
from hfkit.contract.codec import Codec
from hfkit.contract.target import Target
from hfkit.contract.task import Task
from hfkit.doctor.findings import Finding, quote, report_refusal
from hfkit.doctor.machine import LIMITS, memory_of
from hfkit.doctor.places import find_existing
from hfkit.errors import UserError
from hfkit.model.depth import Depths
from hfkit.model.pickles import find_pickles, read_tensors
from hfkit.model.weights import read_config
from hfkit.training.memory import GIB, WEIGHT, learning_share, needed_bytes

ADAM = 2  # further numbers for each weight in a checkpoint of a training
TIGHT = 0.8  # share of the memory


def examine_model(
    task: Task, recipe: RecipeArguments, args: TransferArguments, target: Target
) -> tuple[list[Finding], dict[str, Any], Codec | None]:
    """Everything a checkpoint tells without its weights: findings, facts, and the codec if it has a processor."""
    findings, facts = [], {}
    try:
        model = build_skeleton(task, recipe.checkpoint, target)
        findings, facts = architecture_findings(model, recipe.checkpoint, args)
        findings += weights_findings(Path(task.path(recipe.checkpoint)))
    except UserError as error:
        findings.append(report_refusal("model", "checkpoint", error))
        model = None
    codec = None
    try:
        codec = task.codec(recipe.checkpoint, target)
    except UserError as error:
        findings.append(report_refusal("model", "processor", error))
    if model is not None and codec is not None:
        findings += vocabulary_findings(model, codec.processor)
    return findings, facts, codec


def build_skeleton(task: Task, checkpoint: str, target: Target) -> PreTrainedModel:
    """The model without memory for its weights; of the checkpoint only its configuration is read.

    Raises:
        UserError: it cannot be read, or is of an architecture that the task has no head for.
    """
    config = read_config(task.path(checkpoint), **task.head_config(target))
    try:
        with torch.device("meta"):
            return task.auto_model.from_config(config, trust_remote_code=False)
    except Exception as error:  # architectures raise errors of any kind for settings that do not fit together
        reason = next(iter(str(error).splitlines()), "")
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"{task.auto_model.__name__} cannot be made of it ({reason[:200]})",
            "Use a checkpoint of another architecture",
        ) from error


def architecture_findings(
    model: PreTrainedModel, checkpoint: str, args: TransferArguments
) -> tuple[list[Finding], dict[str, Any]]:
    """Depths, size, and the memory and disk space of a training."""
    size = model.num_parameters()
    facts: dict[str, Any] = {"model_type": model.config.model_type, "parameters": size}
    what = f"{checkpoint}: {model.config.model_type} of {size / 1e6:,.1f} M parameters"
    findings = [Finding("model", "checkpoint", "ok", what)]
    try:
        found = Depths.of(model, tuple(args.blocks))
    except UserError as error:
        findings.append(report_refusal("model", "depths", error))
    else:
        names = found.names
        facts["depths"] = len(names)
        what = f"depths 0 to {len(names) - 1}: {names[0]}, {len(names) - 2} blocks, {names[-1]}"
        findings.append(Finding("model", "depths", "ok", what, [found.origin] if found.origin else []))
    needed = needed_bytes(size, learning_share(args))
    facts["needed_gib"] = needed / GIB
    total, free, where = memory_there(args)
    findings.append(memory_finding(needed, total, free, where, args.strategy))
    findings += disk_findings(size, args)
    return findings, facts


def memory_there(args: TransferArguments) -> tuple[int, int, str]:
    """Bytes in all and free on the device of a training, and which device that is."""
    if torch.cuda.is_available() and not args.use_cpu:
        free, total = torch.cuda.mem_get_info()
        return total, free, "on the GPU"
    return (*memory_of(LIMITS), "in memory")


def memory_finding(needed: int, total: int, free: int, where: str, strategy: str) -> Finding:
    """Whether weights, gradients and moments fit."""
    what = (
        f"training with --strategy {strategy} takes about {needed / GIB:.2g} GiB {where}, and activations beside them"
    )
    counted = "weights, gradients and Adam's moments are counted"
    evidence = [f"{free / GIB:.1f} of {total / GIB:.1f} GiB are free: {counted}"]
    fix = "Use a smaller checkpoint, or --strategy lora or feature-extraction"
    if needed > total:
        return Finding("model", "memory", "error", f"{what}: more than there is", evidence, fix)
    if needed > free or needed > TIGHT * total:
        return Finding("model", "memory", "warning", f"{what}: that is tight", evidence, fix)
    return Finding("model", "memory", "ok", what, evidence)


def disk_findings(parameters: int, args: TransferArguments) -> list[Finding]:
    """Whether the checkpoints of a training fit on the disk."""
    place = find_existing(Path(args.output_dir))
    kept = 1 if str(args.save_strategy.value) == "no" else 1 + (args.save_total_limit or 3)
    moments = 0 if args.save_only_model else ADAM * learning_share(args)
    needed = round(kept * parameters * WEIGHT * (1 + moments))
    if place is None or (free := shutil.disk_usage(place).free) >= needed:
        return []
    what = f"the checkpoints of a training take about {needed / GIB:.1f} GiB, and {free / GIB:.1f} GiB are free"
    fix = "Make room, choose another --output_dir, or set --save_total_limit 1 and --save_only_model"
    return [Finding("model", "disk", "warning", f"{what} at {args.output_dir}", fix=fix)]


def weights_findings(folder: Path) -> list[Finding]:
    """Whether a local checkpoint has its weights in a format that is read."""
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return []
    try:
        pickles = find_pickles(str(folder))
        for file in pickles:
            read_tensors(file)
    except UserError as error:
        return [report_refusal("model", "weights", error)]
    if pickles:
        names = ", ".join(file.name for file in pickles[:3])
        what = f"its weights are in {names}: their tensors are read without running code, and converted once"
        return [Finding("model", "weights", "ok", what)]
    what = f"there are no weights in {folder} (model.safetensors)"
    return [Finding("model", "weights", "error", what, fix="Give a folder that save_pretrained wrote")]


def vocabulary_findings(model: PreTrainedModel, processor: Any) -> list[Finding]:
    """Whether the model has an embedding for every token."""
    rows = getattr(model.config.get_text_config(), "vocab_size", None)
    if rows is None or not hasattr(processor, "get_vocab"):
        return []
    beyond = [(number, token) for token, number in processor.get_vocab().items() if number >= rows]
    if not beyond:
        return [Finding("model", "vocabulary", "ok", f"{len(processor):,} tokens, each with an embedding")]
    what = f"the tokenizer has {len(beyond):,} tokens beyond the {rows:,} embeddings of the model"
    samples = [f"{number}: {quote(token)}" for number, token in sorted(beyond)[:3]]
    fix = "Use the tokenizer that the checkpoint was trained with, or resize its embeddings and save it"
    return [Finding("model", "vocabulary", "error", what, samples, fix)]
