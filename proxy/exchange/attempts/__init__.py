"""Trying backends: in which order, over which key, and how each fares."""
