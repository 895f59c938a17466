"""Prompts, planes, packed masks and their history. Pure Python and numpy."""
