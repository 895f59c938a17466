"""Weights on disk: safetensors, bundles, official checkpoints, downloads."""
