"""Leaving the process: records in, bytes and rows out. Runs in the drain thread."""

DEFAULT_STORE = ".autoscope"
"""The local store's directory where nobody names another."""
