"""UniUltra: prompt-driven ultrasound segmentation that learns from its annotators. Research use only."""

__version__ = "0.1.0"
