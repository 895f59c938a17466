"""Prompt markers and drawing tools in slice views."""
