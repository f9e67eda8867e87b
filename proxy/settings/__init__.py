"""The whole configuration schema, loading and secrets.

Alone reads the environment; imports no other part of proxy.
"""
