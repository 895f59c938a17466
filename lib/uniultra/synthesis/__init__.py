"""Synthetic B-mode ultrasound with exact labels."""
