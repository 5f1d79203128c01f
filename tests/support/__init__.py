"""Helpers that several tests need. Tests do not import from each other."""
