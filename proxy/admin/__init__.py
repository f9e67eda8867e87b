"""The admin API over HTTP: customers, keys. Knows bodies and statuses; state lives in `ratelimit`."""
