"""What is computed from a fit: components, average predictions, profiles, resampling."""
