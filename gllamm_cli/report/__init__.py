"""Presentation of fits: Stata text, terminal, JSON."""
