"""Prompts: what they are, where they lie, and how the network sees them."""

from uniultra.prompts.types import Box, Lasso, MaskPrompt, Point, PromptSet, Scribble

__all__ = ["Box", "Lasso", "MaskPrompt", "Point", "PromptSet", "Scribble"]
