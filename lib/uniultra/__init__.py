"""UniUltra: prompt-driven ultrasound segmentation that learns from its annotators. Research use only."""

import os

# MONAI imports MLflow, which tells its makers that it was imported unless it is told not to.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.4.0"
