"""Files in COCO's layout are known by what they hold, whatever is in them beside it."""

import json

import pytest

from hfkit.data.images.coco import open_coco
from hfkit.errors import UserError

WHOLE = {
    "images": [{"id": 1, "file_name": "1.png"}],
    "annotations": [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 2, 2], "segmentation": []}],
    "categories": [{"id": 3, "name": "cat"}],
}


def test_a_file_is_known_by_what_its_annotations_have(tmp_path):
    path = tmp_path / "some.json"
    path.write_text(json.dumps(WHOLE), encoding="utf-8-sig")
    assert open_coco(path, "bbox").categories == {3: "cat"}
    assert open_coco(path, "segmentation") is None
    path.write_text(json.dumps(WHOLE | {"annotations": []}))
    assert open_coco(path, "bbox").annotations == []
    for other in ({"images": 3}, ["images"], {name: WHOLE[name] for name in ("images", "annotations")}):
        path.write_text(json.dumps(other))
        assert open_coco(path, "bbox") is None
    path.write_bytes(b"\xff\xfe no text at all")
    assert open_coco(path, "bbox") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(WHOLE)[:-5], "it is no JSON"),
        (json.dumps(WHOLE | {"categories": [{"id": 3}]}), "every category has an id and a name"),
    ],
)
def test_a_broken_file_is_refused(text, words, tmp_path):
    (tmp_path / "some.json").write_text(text)
    with pytest.raises(UserError, match=words):
        open_coco(tmp_path / "some.json", "bbox")
