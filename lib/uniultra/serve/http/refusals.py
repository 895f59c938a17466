"""Errors of the rooms below become HTTP answers here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

from uniultra.errors import ImageError, ModelError, PromptError, RequestError, UniUltraError
from uniultra.store.errors import CampaignError, ConflictError, NotFoundError, ProtectedError, StoreError


class TooLargeError(RequestError):
    """A prompt or an upload beyond what one request may hold."""


_STATUS: tuple[tuple[type[UniUltraError], int], ...] = (
    (NotFoundError, 404),
    (ProtectedError, 403),
    (TooLargeError, 413),
    (RequestError, 422),
    (PromptError, 422),
    (ImageError, 422),
    (ModelError, 503),
    (StoreError, 503),
    (CampaignError, 503),
)


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a `UniUltraError` inside the block into an `HTTPException` with the same text.

    Raises:
        HTTPException: 404, 403, 413, 422; 409 with the newer revision, its annotator and time; 503 when a
            model has no usable weights or the label store no database.
    """
    try:
        yield
    except ConflictError as error:
        newer = error.newer
        stands = {"revision": newer.revision, "annotator": newer.annotator, "made": newer.made.isoformat()}
        raise HTTPException(409, {"message": str(error), "newer": stands}) from error
    except UniUltraError as error:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        raise HTTPException(status, str(error)) from error
