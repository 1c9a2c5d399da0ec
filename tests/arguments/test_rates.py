"""A search for rates that would not see what training does is refused by name."""

import pytest

from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError


def test_it_is_off_unless_asked_for_and_refused_where_a_scaler_skips_steps(tmp_path):
    assert not TransferArguments(output_dir=str(tmp_path), use_cpu=True).find_rate
    assert TransferArguments(output_dir=str(tmp_path), use_cpu=True, find_rate=True, precision="bf16").find_rate
    with pytest.raises(UserError, match="find_rate with fp16: the gradient scaler"):
        TransferArguments(output_dir=str(tmp_path), use_cpu=True, find_rate=True, precision="fp16")
