"""Afterwards: queries over the runs in the local store, and reports made of them."""
