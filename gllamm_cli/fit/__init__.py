"""A fitted model as a value, and what is computed from it."""
