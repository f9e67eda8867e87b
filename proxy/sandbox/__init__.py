"""The built-in upstream: a real HTTP server on a loopback port, deterministic, speaking OpenAI's dialect."""
