"""Training: synthetic ultrasound, data, the loop and its recipes."""
