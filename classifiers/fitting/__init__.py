"""Fits the scorer and measures the classification; needs numpy and scipy, never imported at run time."""
