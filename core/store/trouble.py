"""What a database that does not work says, or the disk below it, as a sentence a person can act on."""

import errno
import sqlite3

import asyncpg
from sqlalchemy.exc import DBAPIError

_SQLITE = {
    sqlite3.SQLITE_BUSY: "The database is busy: another process has held it for too long. Try again in a moment.",
    sqlite3.SQLITE_FULL: "The disk of the database is full, so nothing was written. Make room on it, then try again.",
    sqlite3.SQLITE_READONLY: "The database file cannot be written. Let this user write it, and its directory.",
    sqlite3.SQLITE_IOERR: "The disk of the database fails. Look at the disk and at the system's log, then try again.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened. Let this user read and write it and its directory.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged. Stop everything, keep a copy of it, and restore a backup.",
    sqlite3.SQLITE_NOTADB: "The database file is no SQLite database, or is damaged. Look at BANKSMAN_DATABASE_URL; or "
    "stop everything, keep a copy of the file, and restore a backup.",
}
_DISK = (errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT)


def in_words(error: BaseException) -> str | None:
    """The sentence, if this error is the database's or a disk's, and not ours."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, sqlite3.Error):
        # The turnstile's own word for "busy" has no code.
        none = sqlite3.SQLITE_BUSY if isinstance(cause, sqlite3.OperationalError) else sqlite3.SQLITE_MISUSE
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", none) & 0xFF)
    if isinstance(cause, asyncpg.DiskFullError):
        return _SQLITE[sqlite3.SQLITE_FULL]
    if isinstance(cause, (asyncpg.ReadOnlySQLTransactionError, asyncpg.CannotConnectNowError)):
        return "The database server takes no writes now. Look at it, then try again."
    if isinstance(cause, (asyncpg.PostgresConnectionError, asyncpg.TooManyConnectionsError)):
        return "The database server cannot be reached. Look at it and at BANKSMAN_DATABASE_URL, then try again."
    if isinstance(cause, OSError) and cause.errno in _DISK and cause.filename is not None:
        return f"{cause.filename} cannot be written: {cause.strerror}. Let this user write there, or make room."
    return None
