"""Evaluation of models: accuracy benchmarks and simulated campaigns."""
