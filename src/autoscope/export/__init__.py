"""Leaving the process: records in, bytes and rows out. Runs in the drain thread."""
