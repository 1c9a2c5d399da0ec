"""Settings of a checkpoint that no program wrote: named and refused at once."""

import json
import shutil

import pytest

from hfkit.errors import UserError
from hfkit.model.settings_files import MOST_BYTES
from hfkit.model.weights import read_config


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("config.json", "[" * 5000 + "]" * 5000, "nested too deep"),
        ("config.json", '{"a":' * 5000 + "1" + "}" * 5000, "nested too deep"),
        ("config.json", '{"num_hidden_layers": 1000000, "model_type": "bert"}', "at most 10,000 layers"),
        ("config.json", '{"text_config": [{"n_layers": 1000000}]}', "at most 10,000 layers"),
        ("config.json", "[1]", "holds an object, and this is a list"),
        ("tokenizer_config.json", '"a"', "holds an object, and this is a string"),
        ("config.json", "{", "cannot be read"),
        ("config.json", '{"model_type": "bert", "hidden_size": "big"}', "could not be read"),
        ("config.json", None, "takes at most 20,000,000 bytes"),
    ],
)
def test_settings_that_no_program_wrote_are_refused_at_once(checkpoint, tmp_path, name, content, words):
    place = shutil.copytree(checkpoint, tmp_path / "model")
    if content is None:  # a file with a hole, as large as it says
        with (place / name).open("wb") as file:
            file.truncate(50 * MOST_BYTES)
    else:
        (place / name).write_text(content)
    with pytest.raises(UserError, match=words):
        read_config(str(place))


def test_usual_settings_are_read(checkpoint):
    with open(f"{checkpoint}/config.json", encoding="utf-8") as file:
        assert read_config(checkpoint).hidden_size == json.load(file)["hidden_size"]
