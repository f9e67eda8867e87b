"""Cohere's chat and embeddings."""
