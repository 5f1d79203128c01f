"""Borzoi (Linder et al. 2025) and Flashzoi: Enformer-like, then a U-net up to bins of 32 bp.

Sizes are from calico/borzoi `examples/params.json`, layers from calico/baskerville `blocks.py`.
"""
