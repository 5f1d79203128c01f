"""BPNet (Avsec et al. 2021) and bpnet-lite: profiles and read counts at base resolution.

Sizes and layers are from kundajelab/bpnet (commit 0cb7277) and jmschrei/bpnet-lite.
"""
