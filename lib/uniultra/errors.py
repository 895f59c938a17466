"""Errors with messages for users. Each says what was expected, what was received and what to do.

No message ever holds a patient's value or a full path: these messages travel to clients and logs.
"""


class UniUltraError(Exception):
    """Base of all errors whose message is written for the user."""


class ImageError(UniUltraError):
    """A file that cannot be read as an ultrasound image, or a plane outside the image."""


class PromptError(UniUltraError, ValueError):
    """A prompt that is malformed or lies outside the image."""


class ModelError(UniUltraError):
    """An unknown model, or weights that are missing, damaged or made for another network."""


class RequestError(UniUltraError):
    """A request to the server that cannot be served: a bad id, name, tag or option."""
