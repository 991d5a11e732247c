"""Images that programs hold: the attachments behind image values.

A value of the language carries an image's id and size. What else an attachment needs is kept
beside the variables, so that it can be shown to the model in any later cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lash.base.codec import DecodeError, decode, encode
from lash.base.json import Json, JsonObject
from lash.base.messages import AttachmentRef
from lash.tools.surface import image_json
from lash.tools.value import unmarked

_FOLDER = "images/"


class ImageShelf:
    """The images that a session's programs have met, by id."""

    def __init__(self) -> None:
        self._known: dict[str, AttachmentRef] = {}

    def refs(self, ids: Iterable[str]) -> list[AttachmentRef]:
        """The attachments of ids, each once; unknown ids are left out."""
        return [self._known[image_id] for image_id in dict.fromkeys(ids) if image_id in self._known]

    def files(self) -> dict[str, str]:
        """The stored form, part of the snapshot of the variables."""
        return {f"{_FOLDER}{image_id}": encode(ref) for image_id, ref in self._known.items()}

    def add_files(self, files: object) -> None:
        """Takes over the stored form."""
        for name, text in files.items() if isinstance(files, Mapping) else ():
            if str(name).startswith(_FOLDER) and isinstance(text, str):
                try:
                    ref = decode(text, AttachmentRef)
                except DecodeError:
                    continue  # the value stays; it can only not be shown
                self._known[ref.id] = ref

    def plain(self, value: Json) -> Json:
        """A tool's value as the language reads it: attachments are images, escapes are undone."""
        if isinstance(value, list):
            return [item if type(item) is str else self.plain(item) for item in value]
        if not isinstance(value, dict):
            return value
        part = unmarked(value)
        if isinstance(part, AttachmentRef):
            self._known[part.id] = part
            return image_json(part)
        found: JsonObject = {key: item if type(item) is str else self.plain(item) for key, item in part.items()}
        return found
