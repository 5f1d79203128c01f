"""Tiny configs of every network."""

from typing import Any

from seqcov_models import (
    BasenjiBlockConfig,
    BasenjiConfig,
    BasenjiForTokenPrediction,
    BorzoiConfig,
    BorzoiForTokenPrediction,
    BPNetConfig,
    BPNetForProfilePrediction,
    BPNetForTokenPrediction,
    BPNetLiteConfig,
    CherimoyaConfig,
    CherimoyaForProfilePrediction,
    ChromBPNetConfig,
    ChromBPNetForProfilePrediction,
    EnformerConfig,
    EnformerForTokenPrediction,
)
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.config import Config

TINY: list[Config] = [
    BasenjiConfig(
        sequence_length=512, num_labels=3, stem_channels=6, conv_tower_channels=(8, 8),
        blocks=BasenjiBlockConfig(num_blocks=2, bottleneck_size=4), crop_bins=4,
        head_hidden_size=10,
    ),
    EnformerConfig(
        sequence_length=512, num_labels=3, stem_channels=8, conv_tower_channels=(8, 12),
        num_hidden_layers=1, num_attention_heads=2, attention_head_size=4, attention_value_size=6,
        num_rel_pos_features=12, intermediate_size=16, target_length=40, head_hidden_size=10,
    ),
    BorzoiConfig(
        sequence_length=512, num_labels=3, stem_channels=8, conv_tower_channels=(8, 12, 12),
        num_hidden_layers=1, num_attention_heads=2, attention_head_size=4, attention_value_size=6,
        num_rel_pos_features=8, position_length=32, intermediate_size=16, crop_bins=10,
        head_hidden_size=10,
    ),
]  # fmt: skip
"""The networks that predict bins."""

SMALL_BORZOI: dict[str, Any] = {
    "sequence_length": 512,
    "stem_channels": 6,
    "conv_tower_channels": (8, 10, 12),
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "attention_head_size": 5,
    "attention_value_size": 6,
    "num_rel_pos_features": 8,
    "position_length": 32,
    "intermediate_size": 24,
    "crop_bins": 5,
    "head_hidden_size": 14,
    "num_labels": 7,
}

TOWER = {"sequence_length": 256, "stem_channels": 6, "num_labels": 3, "head_hidden_size": 12}
TRANSFORMER = {
    "num_hidden_layers": 2, "num_attention_heads": 2, "attention_head_size": 4,
    "attention_value_size": 4, "intermediate_size": 10,
}  # fmt: skip
EVERY_NETWORK: dict[str, tuple[type[CoverageModel], Config]] = {
    "basenji2": (
        BasenjiForTokenPrediction,
        BasenjiConfig(
            **TOWER, conv_tower_channels=(8,), crop_bins=3,
            blocks=BasenjiBlockConfig(num_blocks=2, bottleneck_size=4),
        ),
    ),
    "enformer": (
        EnformerForTokenPrediction,
        EnformerConfig(
            **TOWER, **TRANSFORMER, conv_tower_channels=(8, 8), num_rel_pos_features=12,
            target_length=20,
        ),
    ),
    "borzoi": (
        BorzoiForTokenPrediction,
        BorzoiConfig(
            **TOWER, **TRANSFORMER, conv_tower_channels=(8, 8, 8), num_rel_pos_features=4,
            position_length=16, crop_bins=5,
        ),
    ),
    "flashzoi": (
        BorzoiForTokenPrediction,
        BorzoiConfig(
            **TOWER, **TRANSFORMER, conv_tower_channels=(8, 8, 8), attention_type="rotary",
            num_key_value_heads=1, rotary_size=2, crop_bins=5,
        ),
    ),
    "bpnet": (BPNetForProfilePrediction, BPNetConfig(sequence_length=256, target_length=256)),
    "bpnetlite": (
        BPNetForProfilePrediction, BPNetLiteConfig(sequence_length=256, target_length=100)
    ),
    "chrombpnet": (
        ChromBPNetForProfilePrediction,
        ChromBPNetConfig(
            sequence_length=256, target_length=100, hidden_size=6, num_dilated_layers=3,
            profile_kernel_size=11, bias_hidden_size=4, bias_num_dilated_layers=2,
        ),
    ),
    "cherimoya": (
        CherimoyaForProfilePrediction,
        CherimoyaConfig(
            sequence_length=256, target_length=100, hidden_size=6, num_dilated_layers=3,
            num_strands=2,
        ),
    ),
    "bpnet, pointwise head": (
        BPNetForTokenPrediction, BPNetConfig(sequence_length=256, target_length=256)
    ),
}  # fmt: skip
"""Every network class with a window of 256 bp."""
