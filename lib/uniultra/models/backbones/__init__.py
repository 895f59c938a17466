"""Image encoders and segmentation networks that the registered models are built from."""
