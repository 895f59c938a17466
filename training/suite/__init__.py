"""Comparison of the published systems: trained on the same bases and pictures, scored alike."""
