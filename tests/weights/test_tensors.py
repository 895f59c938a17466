"""Files of tensors say what they are, or are refused."""

import pytest

from uniultra.errors import ModelError
from uniultra.weights import tensors


@pytest.mark.parametrize(
    "content", [b"", b"{", (1 << 60).to_bytes(8, "little") + b"{}" * 9, b"\x02" + b"\0" * 7 + b"[]"]
)
def test_metadata_of_a_damaged_file(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="safetensors"):
        tensors.metadata(tmp_path / "x.safetensors")
