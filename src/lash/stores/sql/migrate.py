"""The schema's version, and how a database gets there.

Migrations are numbered files, forward only, applied in one transaction under a
lock, so that two processes that start together do it once. A database of another
version is refused by name, never guessed at.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from lash.sessions.errors import UnsupportedSchemaVersion
from lash.stores.dialect import Statement
from lash.stores.program import Query, Steps, execute, lock, one, program

COMPONENT: Final = "lash"


class Count(NamedTuple):
    """A number."""

    n: int


class Version(NamedTuple):
    """A schema version."""

    version: int


HAS_VERSIONS = Query(Count, "SELECT count(*) FROM {tables} t WHERE t.name = 'lash_schema_versions'")
GET_VERSION = Query(Version, "SELECT version FROM lash_schema_versions WHERE component = ?1")
MAKE_VERSIONS = Statement(
    "CREATE TABLE lash_schema_versions (component {text} NOT NULL PRIMARY KEY, version {int} NOT NULL) {keyed}"
)
SET_VERSION = Statement(
    """
    INSERT INTO lash_schema_versions (component, version) VALUES (?1, ?2)
    ON CONFLICT (component) DO UPDATE SET version = excluded.version
    """
)

_FILE_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")
_COMMENT: Final = re.compile(r"--[^\n]*")


class Migration(NamedTuple):
    """One numbered file."""

    version: int
    name: str
    statements: tuple[Statement, ...]


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations of this release, in order."""
    found: list[Migration] = []
    for file in resources.files("lash.stores.sql").joinpath("migrations").iterdir():
        if match := _FILE_NAME.fullmatch(file.name):
            parts = _COMMENT.sub("", file.read_text(encoding="utf-8")).split(";")
            statements = tuple(Statement(part) for part in parts if part.strip())
            found.append(Migration(int(match.group(1)), file.name, statements))
    return tuple(sorted(found))


def newest() -> int:
    """The schema version of this release."""
    return migrations()[-1].version


@program("read")
def read_version() -> Steps[int]:
    """The database's schema version; 0 when lash never used it."""
    return (yield from _version())


@program("write")
def migrate(where: str, *, upgrade: bool) -> Steps[int]:
    """Brings a database to this release's version; answers the version it had.

    A fresh one is always built. Without `upgrade` an older one is refused; a newer
    one always is. Raises `UnsupportedSchemaVersion`.
    """
    yield from lock("schema")
    version = yield from _version()
    if version == newest():
        return version
    if version > newest() or (version > 0 and not upgrade):
        raise UnsupportedSchemaVersion(where, version, newest())
    if version == 0:
        yield from execute(MAKE_VERSIONS)
    for migration in migrations():
        if migration.version > version:
            for statement in migration.statements:
                yield from execute(statement)
    yield from execute(SET_VERSION, COMPONENT, newest())
    return version


@program("write")
def set_version(version: int) -> Steps[None]:
    """Writes a version without migrating: for tests of the refusal."""
    yield from execute(SET_VERSION, COMPONENT, version)


def _version() -> Steps[int]:
    found = yield from one(HAS_VERSIONS)
    if found is None or found.n == 0:
        return 0
    row = yield from one(GET_VERSION, COMPONENT)
    return 0 if row is None else row.version
