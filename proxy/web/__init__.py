"""Client-facing endpoints. Each is a client dialect plus `exchange.run`; nothing here knows a provider."""
