"""Customers and keys: stored as digests, looked up once, remembered briefly."""
