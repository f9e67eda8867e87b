"""Gemini, on Google's own host and on Vertex AI."""
