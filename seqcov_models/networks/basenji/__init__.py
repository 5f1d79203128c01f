"""Basenji2 (Kelley 2020): convolutions and dilated convolutions, 131,072 bp to bins of 128 bp.

Sizes are from calico/basenji `manuscripts/cross2020`, layers from its `basenji/blocks.py`.
"""
