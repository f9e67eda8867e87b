"""Buckets, windows, reservations, shares. Today: the requests-per-minute bucket."""
