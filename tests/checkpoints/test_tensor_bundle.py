"""TensorFlow's checkpoints: checksums, and data files that are missing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from seqcov_models.checkpoints.containers.tensor_bundle import masked_crc32c
from support.checkpoints import refusal


def test_a_checkpoint_without_all_data_files_is_refused(
    copy_golden: Callable[[str], Path],
) -> None:
    folder = copy_golden("sonnet_enformer")
    (folder / "enformer.data-00000-of-00001").rename(folder / "enformer.data-00000-of-00002")
    assert "not all there" in refusal("enformer", folder)


def test_the_checksum_is_crc_32c() -> None:
    def masked(crc: int) -> int:
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    def crc_bit_by_bit(data: bytes) -> int:
        crc = 0xFFFFFFFF
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        return masked(crc ^ 0xFFFFFFFF)

    assert masked_crc32c(b"123456789") == masked(0xE3069283)  # the check value of its definition
    assert masked_crc32c(bytes(32)) == masked(0x8A9136AA)  # RFC 3720
    rng = np.random.default_rng(1)
    for length in (0, 1, 3, 4, 16_383, 16_384, 16_385, 32_768, 70_001):
        data = rng.bytes(length)
        assert masked_crc32c(data) == crc_bit_by_bit(data), length
