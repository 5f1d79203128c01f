"""Tiny configs of the networks that predict bins."""

from seqcov_models import BasenjiBlockConfig, BasenjiConfig, BorzoiConfig, EnformerConfig
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
