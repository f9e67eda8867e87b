"""The pump between a provider and a client. It knows bytes, marks and deadlines, and no JSON, provider or quota."""
