"""The studies folder: its images, labels, reviews and work, stored crash-safe."""
