"""Bedrock's Converse, and its embeddings."""
