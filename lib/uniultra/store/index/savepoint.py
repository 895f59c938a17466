"""Savepoints: a step that the database refuses for its values leaves the transaction intact."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, exc

# values that do not fit a column; never a failed connection
_UNFIT = (KeyError, TypeError, ValueError, OverflowError, exc.DataError, exc.IntegrityError)


def fits(connection: Connection, step: Callable[[], object]) -> bool:
    """Execute a step; whether its values could be stored. A refused step is rolled back completely.

    Raises:
        exc.DBAPIError: the database itself failed.
    """
    try:
        with connection.begin_nested():
            step()
    except _UNFIT:
        return False
    except exc.StatementError as error:
        if isinstance(error, exc.DBAPIError):
            raise
        return False  # refused before it reached the database
    return True
