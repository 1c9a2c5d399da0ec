"""The common end of the makers of models that find objects: their record, their card, and their command."""

import json
import platform
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn


def write_record(
    settings: Any,
    folder: Path,
    seconds: int,
    saved: nn.Module,
    scores: Mapping[str, float],
    held_out: int,
    card: Callable[[dict], str],
) -> dict:
    """Write training.json and the card beside the saved weights, and return the content of training.json.

    Args:
        scores: of the saved model on `held_out` other pictures.
    """
    record = {
        **asdict(settings),
        "command": settings.command,
        "held_out": held_out,
        "map": scores["map"],
        "map50": scores["map50"],
        "parameters": sum(p.numel() for p in saved.parameters()),
        "bytes": (folder / "model.safetensors").stat().st_size,
        "seconds": seconds,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(record), encoding="utf-8")
    return record


def run(
    make: Callable[[Any, Path], dict], settings: type, folder: Path, about: str, arguments: list[str] | None
) -> None:
    """Make a model as the command line says, with a flag for each of the `settings`."""
    parser = ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--output", type=Path, default=folder, help="where the checkpoint goes")
    for setting in fields(settings):
        parser.add_argument(f"--{setting.name.replace('_', '-')}", type=int, default=setting.default)
    options = vars(parser.parse_args(arguments))
    folder = options.pop("output")
    record = make(settings(**options), folder)
    print(f"{folder}: mAP {record['map']:.3f} on unseen pictures, {record['seconds']} CPU seconds")
