"""The view of medical pictures: a model that reads one channel is asked without a pipeline, which makes colours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hfkit.contract.snippets import literal
from hfkit.contract.target import Target
from hfkit.contract.view import Example
from hfkit.tasks.classification.kinds import Kind, SeveralLabels
from hfkit.tasks.classification.pictures import ClassifiedPicture
from hfkit.tasks.findings.grey import Grey


class MedicalPicture(ClassifiedPicture):
    """Pictures of people."""

    def __init__(self, kind: Kind, folder: Path, grey: Grey) -> None:
        super().__init__(kind, folder)
        self.grey = grey

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        if self.grey == "repeat":
            return super().snippet(model, target, examples, facts, loaded=loaded)
        load = loaded or "\n".join(
            [
                "from transformers import AutoImageProcessor, AutoModelForImageClassification",
                "",
                f"processor = AutoImageProcessor.from_pretrained({literal(model)})",
                f"model = AutoModelForImageClassification.from_pretrained({literal(model)}).eval()",
            ]
        )
        likely = "sigmoid()" if isinstance(self.kind, SeveralLabels) else "softmax(-1)"
        return "\n".join(
            [
                "import torch",
                "from PIL import Image",
                load,
                "",
                f"picture = Image.open({literal('picture.png')}).convert({literal('L')})  # it reads one channel",
                f"inputs = processor(picture, return_tensors={literal('pt')})",
                "with torch.no_grad():",
                f"    likely = model(**inputs).logits[0].{likely}.tolist()",
                "print({model.config.id2label[i]: round(share, 3) for i, share in enumerate(likely)})",
            ]
        )
