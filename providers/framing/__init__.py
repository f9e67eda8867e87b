"""Cuts a byte stream into frames and keeps every byte."""
