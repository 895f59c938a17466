"""Weights on disk: safetensors files, bundles, official checkpoints, downloads."""
