"""Prediction: a picture is encoded once, every later prompt on it uses the cached embedding."""

from uniultra.predict.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]
