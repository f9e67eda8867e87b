"""Metrics and logs. Never sees prompts, answers or keys."""
