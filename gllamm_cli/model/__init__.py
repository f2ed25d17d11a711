"""What a command means: families and links, the model specification, its arrays."""
