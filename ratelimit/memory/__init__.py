"""Expiring blobs: generations, affinity, verdicts, stored responses. Planned."""
