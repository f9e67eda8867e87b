"""The built-in upstream on a loopback port: a real HTTP server that speaks OpenAI's dialect deterministically."""
