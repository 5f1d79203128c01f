"""ChromBPNet (Pampari et al. 2024): chromatin accessibility, and the enzyme's bias beside it.

Sizes and layers are from kundajelab/chrombpnet (commit ece97c9).
"""
