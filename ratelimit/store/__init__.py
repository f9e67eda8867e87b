"""Connections, scripts, outage. The only place that imports a Redis client."""
