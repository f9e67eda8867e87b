"""Dialects: values in, values out. Knows the JSON of upstreams and clients and their quirks.

Must not know keys, sockets, Redis, HTTP servers, quotas, clocks or logging.
"""
