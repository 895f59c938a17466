"""Slicer's scene: volumes, cines, segmentations, coordinates."""
