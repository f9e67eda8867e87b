"""One record per settled request. Planned."""
