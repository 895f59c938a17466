"""Steps that the database may refuse for what they hold, without harm to what was done before them."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, exc

# a number too large, a character or a shape that no column takes; never a connection that failed
_UNFIT = (KeyError, TypeError, ValueError, OverflowError, exc.DataError, exc.IntegrityError)


def fits(connection: Connection, step: Callable[[], object]) -> bool:
    """Take a step; whether what it holds can be kept. Nothing of a step that cannot is.

    Raises:
        exc.DBAPIError: the database itself does not work.
    """
    try:
        with connection.begin_nested():
            step()
    except _UNFIT:
        return False
    except exc.StatementError as error:
        if isinstance(error, exc.DBAPIError):
            raise
        return False  # refused before it was sent
    return True
