"""Data sets on disk: manifests, samples, splits, and the import of public layouts."""
