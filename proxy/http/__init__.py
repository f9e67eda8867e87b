"""Pure ASGI: our uvicorn protocol, authentication, body reading, errors. Must not know dialects or providers."""
