"""The explicit list of models and their backends. The default one is package data beside this file."""
