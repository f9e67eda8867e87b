"""Finds the ask among messages, envelopes, transcripts, pasted material and courtesies. Bounded work everywhere."""
