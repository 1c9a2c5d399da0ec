"""The ONNX graph of a model: traced with inputs of any size, reduced to 8 bits, and run."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

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

# The names of those sides of an input that may have any length; a model may read several texts of a row.
AXES = {
    1: {0: "batch"},
    2: {0: "batch", 1: "sequence"},
    3: {0: "batch", 1: "texts", 2: "sequence"},
}


class ReadOutput(Mapping[str, Tensor]):
    """A model's output that remembers which of its parts were read.

    The model runs when the first of them is: one that writes its answers may need more inputs than those of a row.
    """

    def __init__(self, run: Callable[[], Mapping[str, Tensor]]) -> None:
        self.run, self.names = run, dict[str, None]()

    @cached_property
    def output(self) -> Mapping[str, Tensor]:
        return self.run()

    def __getitem__(self, name: str) -> Tensor:
        self.names[name] = None
        return self.output[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.output)

    def __len__(self) -> int:
        return len(self.output)


def find_outputs(saved: SavedModel, batch: Mapping[str, Tensor]) -> list[str]:
    """The parts of the model's output that answers are read from.

    Raises:
        UserError: there is none: a model that writes its answers runs many times for each of them.
    """
    with torch.inference_mode():
        output = ReadOutput(lambda: saved.model(**saved.codec.inputs(batch)))
        saved.codec.outputs(saved.model, batch, known=output)
    if not output.names:
        raise UserError(
            f"model '{saved.place}'",
            "its answers are not read from one pass of the model",
            "Use it through transformers",
        )
    return list(output.names)


def name_axes(inputs: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> dict[str, dict[int, str]]:
    """For every input the names of its sides of any length.

    Pictures are of one size, that of the processor, if they are so in both batches. Otherwise they may be of any, and
    so may the masks that say where in a batch each of them ends.

    Args:
        inputs, others: of two batches of unlike rows.
    """
    pictures = [name for name, value in inputs.items() if value.is_floating_point() and value.ndim == 4]
    varied = any(inputs[name].shape[2:] != others[name].shape[2:] for name in pictures)
    axes = {}
    for name, value in inputs.items():
        if pictures and value.ndim >= 3:
            sides = {value.ndim - 2: "height", value.ndim - 1: "width"}
            axes[name] = {0: "batch", **(sides if varied else {})}
        else:
            axes[name] = AXES[value.ndim if value.ndim == 2 or not value.is_floating_point() else 1]
    return axes


def trace(
    saved: SavedModel,
    batch: Mapping[str, Tensor],
    axes: Mapping[str, Mapping[int, str]],
    outputs: Sequence[str],
    opset: int | None,
) -> ExportedModel:
    """The model as an ONNX graph for any number of rows, and for texts and pictures of any size that `axes` names.

    Args:
        batch: inputs of two rows of unlike length; a side of 1 would be taken for one that never changes.
        axes: see `name_axes`.
        outputs: the parts of the model's output that the graph gives.

    Raises:
        UserError: torch cannot write it.
    """
    model = saved.model
    sides = {name: dict.fromkeys(named, Dim.AUTO) for name, named in axes.items()}
    try:
        with silence_exporters(), return_only(model, outputs):
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
    name_sides(saved, graph, axes)
    return graph


def name_sides(saved: SavedModel, graph: ExportedModel, axes: Mapping[str, Mapping[int, str]]) -> None:
    """Name the sides of any length, as `axes` has them for every input.

    Raises:
        UserError: one has become a number, because the model computes with its length outside the graph.
    """
    for value in graph.program.graph.inputs:
        for side, axis in axes[value.name].items():
            if isinstance(value.shape[side], int):
                raise UserError(
                    f"model '{saved.place}'",
                    f"its graph would take only a {axis} of {value.shape[side]} in '{value.name}'",
                    "Use it through transformers",
                )
            value.shape[side] = axis


@contextmanager
def return_only(model: Any, outputs: Sequence[str]) -> Iterator[None]:
    """Within it the model returns these parts of its output alone: some give the states of their decoder too."""
    forward = model.forward

    def shorten(**inputs: Any) -> Any:
        whole = forward(**inputs)
        return type(whole)(**{name: whole[name] for name in outputs})

    model.forward = shorten
    try:
        yield
    finally:
        del model.forward


def to_8_bits(graph: ExportedModel, batch: Mapping[str, Tensor]) -> ExportedModel:
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
    with silence_exporters():
        component = graph.components["model"]
        component.program = OnnxRuntimeQuantizer(settings).quantize(component.program, dict(batch), ExportFormat.ONNX)
    return graph


def open_graph(folder: Path, opset: int | None) -> onnxruntime.InferenceSession:
    """The graph in a folder, ready to run on the CPU with as many threads as torch may use.

    Raises:
        UserError: this version of onnxruntime does not know its operators.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what goes wrong is raised as well
    try:
        return onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no class in common
        raise UserError(
            f"opset={opset}" if opset else "the ONNX graph",
            f"onnxruntime {onnxruntime.__version__} cannot run it ({first_line(error)})",
            "Choose another --opset, or another version of onnxruntime",
        ) from error


def run_graph(session: onnxruntime.InferenceSession, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The output of a graph for a batch, by name.

    Raises:
        UserError: it was written for batches of one size alone.
    """
    # A graph leaves out inputs that it does not read.
    inputs = {one.name: batch[one.name].numpy() for one in session.get_inputs()}
    names = [one.name for one in session.get_outputs()]
    try:
        values = session.run(names, inputs)
    except Exception as error:  # onnxruntime's errors have no class in common
        sizes = ", ".join(f"{name} {' x '.join(map(str, value.shape))}" for name, value in inputs.items())
        raise UserError(
            f"a batch of {sizes}",
            "the graph cannot be run on it: this architecture could only be written for pictures of one size, or for"
            " one number of rows",
            "Use the model through transformers",
        ) from error
    return dict(zip(names, map(torch.from_numpy, values), strict=True))


def weight_bytes(graph: ExportedModel) -> int:
    """The size of the weights, without the graph around them."""
    tensors = [value.const_value for value in graph.program.graph.initializers.values()]
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


@contextmanager
def silence_exporters() -> Iterator[None]:
    """Within it torch, onnxscript and onnxruntime neither print nor warn."""
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
