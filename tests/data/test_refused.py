"""A file that is not read is refused with the reason and the way out."""

import pytest

from hfkit.data.files import BUILDERS, TABLES, TEXT_TABLES, read_splits
from hfkit.data.refused import REFUSED, find_refusal
from hfkit.data.source import Source
from hfkit.errors import UserError


def test_no_kind_of_file_is_read_and_refused():
    refused = [suffix for one in REFUSED for suffix in one.suffixes]
    assert len(set(refused)) == len(refused) and not {*refused} & {*BUILDERS, *TABLES, *TEXT_TABLES}


@pytest.mark.parametrize("name", ["rows.pkl", "rows.SAV", "rows.sqlite"])
def test_a_file_is_refused_with_the_way_out(name, tmp_path):
    (tmp_path / name).write_bytes(b"anything")
    for place in (tmp_path / name, tmp_path):
        with pytest.raises(UserError) as error:
            read_splits(Source(str(place)), kinds=TEXT_TABLES)
        assert find_refusal(name).why in error.value.rule and error.value.fix.startswith(find_refusal(name).fix)
