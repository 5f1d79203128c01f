"""Peaks: reading them, finding maxima of predicted tracks, windows around summits."""
