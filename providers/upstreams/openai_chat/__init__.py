"""OpenAI's chat completions, and all providers that speak like it."""
