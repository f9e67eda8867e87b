"""The operator's page in a browser. Planned; nothing is mounted yet."""
