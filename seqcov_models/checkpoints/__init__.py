"""Recognise, read and write the checkpoints of trained networks."""
