"""Enformer (Avsec et al. 2021): convolutions and a transformer, 196,608 bp to bins of 128 bp.

Sizes and layers are from deepmind-research `enformer/enformer.py`.
"""
