"""Registrations of the models, one file per family; `uniultra.models.registry` loads them by name."""
