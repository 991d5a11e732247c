"""Suite AS over memory, rows, files and the session-scoped wrapper."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from conformance.backends import OnPostgres, OnSqlite, OnStore, fresh, reopened
from lash.attachments.store import AttachmentStore
from lash.base.clock import SystemClock
from lash.stores import Store
from lash.stores.attachments import MemoryAttachments
from lash.stores.files import FileAttachments
from lash.stores.scoped import SessionAttachments
from lash.testing.conformance import ATTACHMENT_STORE, ATTACHMENT_STORE_REOPENABLE


class TestMemory(ATTACHMENT_STORE.mixin("M", "inline")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self) -> Callable[[], AttachmentStore]:
        return MemoryAttachments


class TestFiles(ATTACHMENT_STORE.mixin("F", "durable")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], AttachmentStore]:
        return lambda: FileAttachments(tmp_path)


class TestScoped(ATTACHMENT_STORE.mixin("W", "inline")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self) -> AsyncIterator[Callable[[], AttachmentStore]]:
        async with await Store.open(":memory:") as store:

            def make() -> AttachmentStore:
                manifest = store.sessions.unbound()
                return SessionAttachments(MemoryAttachments(), manifest, "root", SystemClock())

            yield make


class _Rows(OnStore):
    make = fresh(lambda store: store.attachments)


class TestSqliteRows(OnSqlite, _Rows, ATTACHMENT_STORE.mixin("S", "durable")):  # type: ignore[misc]  # made at run time
    pass


class TestPostgresRows(OnPostgres, _Rows, ATTACHMENT_STORE.mixin("P", "durable")):  # type: ignore[misc]
    pass


class TestFilesReopened(ATTACHMENT_STORE_REOPENABLE.mixin("F")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], tuple[AttachmentStore, AttachmentStore]]:
        return lambda: (FileAttachments(tmp_path), FileAttachments(tmp_path))


class TestSqliteRowsReopened(OnSqlite, OnStore, ATTACHMENT_STORE_REOPENABLE.mixin("S")):  # type: ignore[misc]
    make = reopened(lambda store: store.attachments)
