"""The table of families says what transformers says, and needs neither it nor torch."""

import subprocess
import sys

import pytest
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
)

from hfkit.model import families
from tests.tiny.families import FAMILIES, TINY

LOADED_AS = {"text": MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, "image": MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING}


def test_every_family_has_a_tiny_checkpoint_and_no_other_has_one():
    names = [family.name for family in families.FAMILIES]
    assert names == [family.name for family in FAMILIES] and len(names) == len(set(names))
    assert set(names) == TINY.keys()


@pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])
def test_a_family_is_what_its_tiny_configuration_says(family):
    config = family.config()
    loaded = LOADED_AS[family.modality][type(config)]
    classes = loaded if isinstance(loaded, tuple) else (loaded,)
    names = [one.__name__ for one in classes]
    # Of several classes the configuration names one, else the first is loaded.
    expected = next((name for name in config.architectures or () if name in names), names[0])
    assert (family.model_type, family.model_class) == (config.model_type, expected)


def test_the_table_can_be_read_without_torch():
    code = "import sys, hfkit.model.families; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
