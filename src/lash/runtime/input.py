"""Turn input: what a user says, as it is queued and as it becomes a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from lash.attachments.store import AttachmentMeta, AttachmentStore, AttachmentStoreError
from lash.base.codec import DecodeError, from_json
from lash.base.errors import InvalidArgument
from lash.base.json import JsonObject
from lash.base.messages import AttachmentRef, Message, Part, ProcessOrigin
from lash.models.spec import ModelFacts
from lash.processes.events import WakeDelivery
from lash.processes.waking import wake_text
from lash.sessions.queue import (
    ProcessWakePayload,
    QueuedPayload,
    QueuedWorkBatch,
    SessionCommandPayload,
    TurnInputPayload,
)


class TextItem(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    """Text."""

    text: str


class ImageRefItem(msgspec.Struct, frozen=True, tag="image_ref", tag_field="type"):
    """An image, named by the id under which the caller passed its bytes."""

    id: str


class AttachmentItem(msgspec.Struct, frozen=True, tag="attachment", tag_field="type"):
    """A stored image."""

    attachment: AttachmentRef


InputItem: TypeAlias = TextItem | ImageRefItem | AttachmentItem


class InvalidTurnInput(InvalidArgument):
    """The input cannot become a message; the turn ends as `stopped.invalid_input`."""

    code = "invalid_turn_input"


class TurnInput:
    """What a user says in one turn: text and images in order.

    ```python
    TurnInput.text("What is this?").image("photo", png_bytes)
    ```
    """

    __slots__ = ("images", "items")

    def __init__(self, items: list[InputItem] | None = None, images: Mapping[str, bytes] | None = None) -> None:
        self.items: list[InputItem] = list(items or ())
        self.images: dict[str, bytes] = dict(images or {})

    @staticmethod
    def text(text: str) -> TurnInput:
        """Input that is one text."""
        return TurnInput([TextItem(text)])

    def and_text(self, text: str) -> TurnInput:
        """The same input with more text at the end."""
        return TurnInput([*self.items, TextItem(text)], self.images)

    def image(self, image_id: str, data: bytes) -> TurnInput:
        """The same input with an image at the end. PNG, JPEG, GIF, WebP and BMP are recognised."""
        return TurnInput([*self.items, ImageRefItem(image_id)], {**self.images, image_id: data})


class TurnOptions(msgspec.Struct, frozen=True, gc=False):
    """Per-turn choices that recovery must know too; stored with the input."""

    model: ModelFacts | None = None
    provider_id: str | None = None
    max_turns: int | None = None
    prompt: JsonObject | None = None
    protocol_turn_options: JsonObject = {}


class QueuedInput(msgspec.Struct, frozen=True):
    """A turn input as it is stored in the queue. `problem` is why it can be no message."""

    items: list[InputItem]
    options: TurnOptions = TurnOptions()
    problem: str | None = None


class WakeInput(QueuedInput, frozen=True):
    """What a background process has to say: an event of the conversation, nobody's words."""

    origin: ProcessOrigin | None = None


def queued_inputs(batch: QueuedWorkBatch) -> list[QueuedInput]:
    """What a batch of queued work brings into a conversation. What cannot be read says so as its problem."""
    return [_queued_input(item.payload) for item in batch.items]


def _queued_input(payload: QueuedPayload) -> QueuedInput:
    try:
        match payload:
            case TurnInputPayload(input=stored):
                return from_json(stored, QueuedInput)
            case ProcessWakePayload(wake=stored):
                return _wake_input(from_json(stored, WakeDelivery))
            case SessionCommandPayload():
                return QueuedInput([], problem="queued work of type SessionCommandPayload")
    except DecodeError as error:
        return QueuedInput([], problem=f"the queued input cannot be read: {error}")


def _wake_input(wake: WakeDelivery) -> WakeInput:
    origin = ProcessOrigin(wake.process_id, wake.event_type, wake.sequence, wake.wake_id, wake.process_caused_by)
    return WakeInput([TextItem(wake_text(wake))], origin=origin)


async def prepare_input(turn_input: TurnInput, options: TurnOptions, attachments: AttachmentStore) -> QueuedInput:
    """The storable form: images are put into the attachment store first, text is joined.

    Bad images do not raise: the problem travels with the input, and the turn ends as
    `stopped.invalid_input` without touching history.
    """
    items: list[InputItem] = []
    for item in turn_input.items:
        if isinstance(item, ImageRefItem):
            data = turn_input.images.get(item.id)
            problem = _image_problem(item, data)
            if problem is not None or data is None:
                return QueuedInput([], options, problem)
            try:
                ref = await attachments.put(data, AttachmentMeta(sniff_image(data) or "", label=item.id))
            except AttachmentStoreError as error:
                return QueuedInput([], options, f"image {item.id!r} could not be stored: {error}")
            items.append(AttachmentItem(ref))
        elif isinstance(item, TextItem):
            if item.text and items and isinstance(items[-1], TextItem):
                items[-1] = TextItem(items[-1].text + item.text)
            elif item.text:
                items.append(item)
        else:
            items.append(item)
    problem = None if items else "the input is empty; pass text or an image"
    return QueuedInput(items, options, problem)


def input_parts(queued: QueuedInput, first: int = 0) -> list[Part]:
    """The message parts of an input."""
    parts: list[Part] = []
    for item in queued.items:
        part_id = f"p{first + len(parts)}"
        match item:
            case TextItem(text=text):
                parts.append(Part(part_id, "text", text))
            case AttachmentItem(attachment=ref):
                parts.append(Part(part_id, "image", attachment=ref))
            case ImageRefItem(id=image_id):
                raise InvalidTurnInput(f"image {image_id!r} was never stored")
    return parts


def input_message(message_id: str, inputs: list[QueuedInput]) -> Message:
    """One user message of one or several merged inputs; an event message of a wake, which comes alone."""
    parts: list[Part] = []
    for queued in inputs:
        parts += input_parts(queued, len(parts))
    if inputs and isinstance(inputs[0], WakeInput):
        return Message(message_id, "event", parts, inputs[0].origin)
    return Message(message_id, "user", parts)


def sniff_image(data: bytes) -> str | None:
    """The media type of image bytes by their first bytes; None when it is no known image."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"BM"):
        return "image/bmp"
    return None


def _image_problem(item: ImageRefItem, data: bytes | None) -> str | None:
    if not item.id:
        return "an image reference has an empty id; name the image"
    if data is None:
        return f"image {item.id!r} has no bytes; pass them under that id"
    if sniff_image(data) is None:
        return f"image {item.id!r} is not a PNG, JPEG, GIF, WebP or BMP"
    return None
