"""Pure ASGI: our uvicorn protocol, authentication, body reading, the error table. Must not know dialects or providers."""
