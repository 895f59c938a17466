"""Annotation campaigns replayed with a simulated annotator."""
