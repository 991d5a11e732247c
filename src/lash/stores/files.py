"""Attachments in a folder: `sha256/{id[:2]}/{id}` and `{id}.json` beside it.

Metadata is written before the content becomes visible, so a visible content file
always has its metadata. Every file is written to a unique sibling, synced, renamed,
and its folder synced: a kill or a power cut leaves the old state or the new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar

from lash.attachments.store import (
    AttachmentIoError,
    AttachmentMeta,
    AttachmentMissingMeta,
    AttachmentNotFound,
    StoredAttachment,
)
from lash.base.codec import encode
from lash.base.messages import AttachmentRef
from lash.base.tier import DurabilityTier
from lash.stores.attachments import bare_id, decode_meta, filled_meta, ref_of

P = ParamSpec("P")
T = TypeVar("T")
Ids: TypeAlias = list[str]  # `list` is a method below

_HEX = frozenset("0123456789abcdef")


class FileAttachments:
    """Content-addressed files under one folder. All IO runs off the event loop."""

    def __init__(self, folder: str | Path) -> None:
        self._root = Path(folder) / "sha256"

    def durability_tier(self) -> DurabilityTier:
        """Files are synced before `put` returns."""
        return "durable"

    async def put(self, data: bytes, meta: AttachmentMeta) -> AttachmentRef:
        """Stores the bytes once; the first metadata of equal bytes stands."""
        return await _off_loop(self._put, data, meta)

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Raises `AttachmentNotFound` and `AttachmentMissingMeta`."""
        return await _off_loop(self._get, attachment_id)

    async def head(self, attachment_id: str) -> AttachmentMeta:
        """Metadata alone."""
        return await _off_loop(self._head, attachment_id)

    async def delete(self, attachment_id: str) -> None:
        """Removes content, then metadata; absent ones are fine."""
        await _off_loop(self._delete, attachment_id)

    async def list(self) -> list[str]:
        """Every id whose content is there, sorted."""
        return await _off_loop(self._ids)

    def _put(self, data: bytes, meta: AttachmentMeta) -> AttachmentRef:
        filled = filled_meta(data, meta)
        content, meta_file = self._paths(filled.id)
        folder = content.parent
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            for made in (folder.parent, folder.parent.parent):
                _sync_folder(made)
        if meta_file.exists():
            filled = decode_meta(filled.id, meta_file.read_bytes())
        else:
            _write_synced(meta_file, encode(filled).encode())
        if not content.exists():
            _write_synced(content, data)
        _sync_folder(folder)
        return ref_of(filled)

    def _get(self, attachment_id: str) -> StoredAttachment:
        content, _ = self._paths(attachment_id)
        if not content.exists():
            raise AttachmentNotFound(attachment_id)
        return StoredAttachment(self._head(attachment_id), content.read_bytes())

    def _head(self, attachment_id: str) -> AttachmentMeta:
        content, meta_file = self._paths(attachment_id)
        if not content.exists():
            raise AttachmentNotFound(attachment_id)
        if not meta_file.exists():
            raise AttachmentMissingMeta(f"attachment `{attachment_id}` has no metadata; put its bytes again")
        return decode_meta(attachment_id, meta_file.read_bytes())

    def _delete(self, attachment_id: str) -> None:
        content, meta_file = self._paths(attachment_id)
        for path in (content, meta_file):
            path.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            _sync_folder(content.parent)

    def _ids(self) -> Ids:
        if not self._root.is_dir():
            return []
        return sorted(path.name for shard in self._root.iterdir() for path in shard.iterdir() if len(path.name) == 64)

    def _paths(self, attachment_id: str) -> tuple[Path, Path]:
        name = bare_id(attachment_id)
        if len(name) != 64 or not _HEX.issuperset(name):  # never a path of the caller's making
            raise AttachmentNotFound(attachment_id)
        folder = self._root / name[:2]
        return folder / name, folder / f"{name}.json"


async def _off_loop(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as error:
        raise AttachmentIoError(f"{error}; check the folder of the attachments") from error


def _write_synced(path: Path, data: bytes) -> None:
    """Makes `path` hold `data`, all or nothing."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
