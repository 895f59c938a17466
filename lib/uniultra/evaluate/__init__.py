"""Measuring models: accuracy benchmarks and replayed campaigns."""
