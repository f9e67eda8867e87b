"""Hourly outcome counters and breaker state per backend; opaque ids. Planned."""
