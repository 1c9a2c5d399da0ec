"""Which blocks of which families give maps of the places of a picture."""

import pytest

from hfkit.baselines.frozen.maps import FrozenMaps
from hfkit.tasks import ObjectDetection, SemanticSegmentation
from tests.fixtures.encoding import prepare
from tests.tasks.detection import test_families as detectors
from tests.tasks.masks import test_families as segmenters
from tests.tiny import masks


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> str:
    return detectors.save_shapes(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def masked(tmp_path_factory) -> str:
    return masks.mask_folder(tmp_path_factory.mktemp("masks"), train=2, validation=2, test=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", detectors.FAMILIES)
def test_every_family_of_detectors_has_a_map(name, shapes, tmp_path):
    _, codec, encoded = prepare(ObjectDetection(dataset=shapes), detectors.save(name, tmp_path))
    maps = FrozenMaps.of(codec, encoded["test"], "a probe")
    for inputs, found in maps.read(encoded["test"], "test", batch=1):
        height, width = inputs["pixel_values"].shape[1:]
        for of_block in found:
            assert of_block.shape[1] * width == pytest.approx(of_block.shape[2] * height, abs=max(height, width))
            assert of_block.std(dim=(1, 2)).max() > 0
    assert all("decoder" not in block for block in maps.names)


@pytest.mark.slow
@pytest.mark.parametrize("name", segmenters.FAMILIES)
def test_every_family_of_segmenters_has_a_map(name, masked, tmp_path):
    _, codec, encoded = prepare(SemanticSegmentation(dataset=masked), segmenters.make(name, tmp_path))
    maps = FrozenMaps.of(codec, encoded["test"], "a probe")
    together, alone = (list(maps.read(encoded["test"], "test", batch=batch)) for batch in (2, 1))
    for (_, one), (_, other) in zip(together, alone, strict=True):
        assert all(first.allclose(second, atol=1e-4) for first, second in zip(one, other, strict=True))
    assert len({found.shape[1:] for found in together[0][1]}) == len(maps.blocks)
