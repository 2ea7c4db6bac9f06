"""What engines take where nothing is said, against the sums of their sources done by hand."""

import pytest

from search.inputs.config import read_hardware
from search.inputs.engine_defaults import sglang_chunk, sglang_graphs, sglang_static
from search.inputs.hardware_catalog import load_hardware


@pytest.mark.parametrize(
    ("hardware", "width", "chunk", "graphs", "reserved_mb"),
    [
        # sglang/srt/arg_groups/memory_hook.py, 0.5.23: 512 + 1.5 chunk + 128 width + 2 graphs, 10 GB at least
        ("h100_sxm", 8, 8192, 512, 512 + 12288 + 1024 + 1024),
        ("h100_sxm", 1, 8192, 256, 512 + 12288 + 128 + 512),
        ("h200_sxm", 4, 8192, 512, 512 + 12288 + 512 + 1024),
        ("b200_sxm", 1, 16384, 512, 512 + 24576 + 128 + 1024),
        ("l40s", 2, 4096, 32, 512 + 6144 + 256 + 64),
    ],
)
def test_sglangs_share_for_weights_and_cache(hardware, width, chunk, graphs, reserved_mb):
    accelerator = read_hardware(load_hardware(hardware))
    assert sglang_chunk(accelerator) == chunk
    assert sglang_graphs(accelerator, width) == graphs
    left = (1.0 - sglang_static(accelerator, width, 1)) * accelerator.memory_bytes / 2**20
    assert left == pytest.approx(reserved_mb, rel=1e-9)
