"""Distillation: a student learns from a teacher's features, masks and decoder."""
