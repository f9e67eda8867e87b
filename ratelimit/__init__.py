"""The only room that speaks to Redis: customers, keys, counters, windows. Ids are opaque strings.

Must not know what a token costs or what a provider is.
"""
