"""Suite AS over memory, rows, files and the session-scoped wrapper."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from conformance.places import place
from lash.attachments.store import AttachmentStore
from lash.base.clock import SystemClock
from lash.stores import Store
from lash.stores.attachments import MemoryAttachments
from lash.stores.files import FileAttachments
from lash.stores.scoped import SessionAttachments
from lash.testing.conformance import ATTACHMENT_STORE, ATTACHMENT_STORE_REOPENABLE
from services.shared import PgSchema


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


class TestSqliteRows(ATTACHMENT_STORE.mixin("S", "durable")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(self, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[AttachmentStore]]]:
        async with place("sqlite", tmp_path) as found:

            async def make() -> AttachmentStore:
                return (await found.fresh()).attachments

            yield make


class TestPostgresRows(ATTACHMENT_STORE.mixin("P", "durable")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(
        self, tmp_path: Path, pg_schema: PgSchema
    ) -> AsyncIterator[Callable[[], Awaitable[AttachmentStore]]]:
        async with place("postgres", tmp_path, pg_schema) as found:

            async def make() -> AttachmentStore:
                return (await found.fresh()).attachments

            yield make


class TestFilesReopened(ATTACHMENT_STORE_REOPENABLE.mixin("F")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], tuple[AttachmentStore, AttachmentStore]]:
        return lambda: (FileAttachments(tmp_path), FileAttachments(tmp_path))


class TestSqliteRowsReopened(ATTACHMENT_STORE_REOPENABLE.mixin("S")):  # type: ignore[misc]  # made at run time
    @pytest.fixture
    async def make(
        self, tmp_path: Path
    ) -> AsyncIterator[Callable[[], Awaitable[tuple[AttachmentStore, AttachmentStore]]]]:
        async with place("sqlite", tmp_path) as found:

            async def make() -> tuple[AttachmentStore, AttachmentStore]:
                first, second = await found.pair()
                return first.attachments, second.attachments

            yield make
