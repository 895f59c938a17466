"""Measurements of masks: lengths, areas, circumference, volumes; calibration."""
