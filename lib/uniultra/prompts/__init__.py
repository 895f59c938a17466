"""Prompts: their types, their coordinates, and their encoding for the network."""

from uniultra.prompts.types import Box, Lasso, MaskPrompt, Point, PromptSet, Scribble

__all__ = ["Box", "Lasso", "MaskPrompt", "Point", "PromptSet", "Scribble"]
