"""The errors a person may see. Each text says what was expected, what came and what to do.

No text ever holds a patient's value or a full path: these messages travel to clients and logs.
"""


class UniUltraError(Exception):
    """Base of every error whose text is written for the person who reads it."""


class ImageError(UniUltraError):
    """A file that cannot be read as ultrasound, or a plane that the image does not have."""


class PromptError(UniUltraError, ValueError):
    """A prompt that is malformed or lies outside the image."""


class ModelError(UniUltraError):
    """An unknown model, or weights that are missing, damaged or made for another network."""


class RequestError(UniUltraError):
    """A request to the server that cannot be served: a bad id, name, tag or option."""
