"""A session as a document: Markdown and HTML to be read, JSON to be opened again."""

from __future__ import annotations

from lash.runtime.export.document import ExportFormat, InvalidExport, export_session, read_export

__all__ = ["ExportFormat", "InvalidExport", "export_session", "read_export"]
