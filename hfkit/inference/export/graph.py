"""The ONNX graph of a model: traced with inputs of any size, kept in 8 bits, and opened to be asked."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType
from torch import Tensor
from torch.export import Dim
from transformers.exporters import (
    ExportedModel,
    OnnxConfig,
    OnnxExporter,
    OnnxRuntimeDynamicConfig,
    OnnxRuntimeQuantizer,
)
from transformers.exporters.configs import ExportFormat

from hfkit.errors import UserError, first_line
from hfkit.inference.saved import SavedModel

AXES = ("batch", "sequence")  # what the sides of an input are called, as far as they are of any length


def traced(saved: SavedModel, batch: Mapping[str, Tensor], opset: int | None) -> ExportedModel:
    """The model as an ONNX graph that gives `logits`: of any number of rows, and of texts of any length.

    Args:
        batch: two rows of unlike length; a side of 1 would be taken for one that never changes.

    Raises:
        UserError: torch cannot write it.
    """
    model = saved.model
    # Pictures are all of one size: that of the processor.
    sides = {name: {side: Dim.AUTO for side in range(2 if value.ndim == 2 else 1)} for name, value in batch.items()}
    try:
        with quiet(), logits_alone(model):
            graph = OnnxExporter().export(model, dict(batch), OnnxConfig(opset_version=opset, dynamic_shapes=sides))
    except Exception as error:  # whatever an operator that ONNX lacks makes torch raise
        raise UserError(
            f"model '{saved.place}'",
            f"{type(model).__name__} cannot be written as an ONNX graph ({type(error).__name__}: {first_line(error)})",
            "Use it through transformers",
        ) from error
    program = graph.program
    if opset not in (None, program.opset_imports[""]):
        raise UserError(
            f"opset={opset}",
            f"torch writes this model with operators of version {program.opset_imports['']}",
            "Leave --opset out",
        )
    name_sides(saved, graph, sides)
    return graph


def name_sides(saved: SavedModel, graph: ExportedModel, sides: Mapping[str, Mapping[int, Any]]) -> None:
    """Call the sides of any length `batch` and `sequence`.

    Raises:
        UserError: one has become a number, because the model computes with its length outside the graph.
    """
    for value in graph.program.graph.inputs:
        for side in sides[value.name]:
            if isinstance(value.shape[side], int):
                raise UserError(
                    f"model '{saved.place}'",
                    f"its graph would take only a {AXES[side]} of {value.shape[side]} in '{value.name}'",
                    "Use it through transformers",
                )
            value.shape[side] = AXES[side]


@contextmanager
def logits_alone(model: Any) -> Iterator[None]:
    """Have the model return nothing else: some give the states of their decoder too, of which nobody asks."""
    forward = model.forward

    def shortened(**inputs: Any) -> Any:
        outputs = forward(**inputs)
        return type(outputs)(logits=outputs.logits)

    model.forward = shortened
    try:
        yield
    finally:
        del model.forward


def quantized(graph: ExportedModel, batch: Mapping[str, Tensor]) -> ExportedModel:
    """The graph with its matrices and embeddings in 8 bits; activations are brought to 8 bits as they come.

    Unsigned weights: signed ones overflow on processors without instructions for them, and the answers would then
    depend on the machine. Where convolutions work channel by channel (MobileNet, EfficientNet), all of them stay as
    they are: one scale for all channels costs such a network its answers.
    """
    convolutions = [node for node in graph.program.graph if node.op_type == "Conv"]
    depthwise = any(node.attributes.get_int("group", 1) > 1 for node in convolutions)
    settings = OnnxRuntimeDynamicConfig(
        weight_type=QuantType.QUInt8,
        per_channel=True,
        nodes_to_exclude=[node.name for node in convolutions] if depthwise else None,
    )
    with quiet():
        component = graph.components["model"]
        component.program = OnnxRuntimeQuantizer(settings).quantize(component.program, dict(batch), ExportFormat.ONNX)
    return graph


def opened(folder: Path, opset: int | None) -> onnxruntime.InferenceSession:
    """The graph in a folder, ready to be asked on this machine's processor, by as many threads as torch may use.

    Raises:
        UserError: this version of onnxruntime does not know its operators.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no class in common
        raise UserError(
            f"opset={opset}" if opset else "the ONNX graph",
            f"onnxruntime {onnxruntime.__version__} cannot run it ({first_line(error)})",
            "Choose another --opset, or another version of onnxruntime",
        ) from error


def logits_of(session: onnxruntime.InferenceSession, batch: Mapping[str, Tensor]) -> np.ndarray:
    """What the graph says of a batch, (batch, ..., labels)."""
    # A graph leaves out inputs that it does not read.
    return session.run(["logits"], {one.name: batch[one.name].numpy() for one in session.get_inputs()})[0]


def weight_bytes(graph: ExportedModel) -> int:
    """What the weights take, without the graph around them."""
    tensors = [value.const_value for value in graph.program.graph.initializers.values()]
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what torch, onnxscript and onnxruntime print and warn of as they work."""
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
