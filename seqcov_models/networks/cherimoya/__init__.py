"""Cherimoya (Schreiber 2026): profiles and read counts by blocks of ConvNeXt's kind.

Sizes and layers are from jmschrei/cherimoya 0.3.1.
"""
