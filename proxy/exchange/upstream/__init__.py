"""The one door to upstreams: URLs, secrets, time-outs, connections. Must not know bodies beyond bytes."""
