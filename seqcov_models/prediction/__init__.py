"""Prediction: windows of sequence to arrays. Writes no file."""
