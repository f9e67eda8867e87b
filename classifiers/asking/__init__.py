"""Finds the ask: out of messages, envelopes, transcripts, pasted material and courtesies. Bounded work at every step."""
