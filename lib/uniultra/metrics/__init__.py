"""Metrics of segmentation and of interaction."""
