"""Expiring blobs: conversations, verdicts, later generations and stored responses. What they hold is not known here."""
