"""Active learning: query strategies, one per file, and uncertainty estimates of a promptable model."""
