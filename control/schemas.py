"""The bodies of the API as typed models: camelCase outside, strict types, unknown fields refused."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from config.ladders import QUALITIES
from config.settings import RECONNECT_WINDOW_S_MAX
from streams.health import IngestHealth
from streams.state import State
from streams.times import format_utc_s

NAME_MAX_CHARACTERS: Final = 200
LIST_LIMIT_DEFAULT: Final = 20
LIST_LIMIT_MAX: Final = 100
LIST_OFFSET_MAX: Final = 2**31 - 1

# Control characters, lone surrogates, line and paragraph separators: a name is one line of text.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def one_line_of_text(text: str) -> str:
    """A validator. Raises `PydanticCustomError`."""
    for position, character in enumerate(text):
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            context = {"character": f"U+{ord(character):04X}", "position": position}
            raise PydanticCustomError("character", "holds the character {character} at position {position}", context)
    return text


def _not_blank(name: str) -> str:
    if name.isspace():
        raise PydanticCustomError("blank", "is blank")
    return name


# The same rules as JSON Schema says them: some character that is no space, and none that is refused.
_IN_A_LINE = r"[^\u0000-\u001f\u007f-\u009f\u2028\u2029]"
ONE_LINE_PATTERN: Final = f"^{_IN_A_LINE}*$"
_NAME_PATTERN = rf"^{_IN_A_LINE}*[^\s\u0000-\u001f\u007f-\u009f\u2028\u2029]{_IN_A_LINE}*$"

QUALITIES_CONTEXT: Final = "qualities"
"""What the context of a validation calls the qualities that there are; without it the fixed ones."""


def _known_quality(value: object, info: ValidationInfo) -> str:
    known = (info.context or {}).get(QUALITIES_CONTEXT, QUALITIES)
    if isinstance(value, str) and value in known:
        return value
    *others, last = (repr(name) for name in known)
    raise PydanticCustomError("literal_error", "unknown", {"expected": f"{', '.join(others)} or {last}"})


Quality = Annotated[
    str, PlainValidator(_known_quality), WithJsonSchema({"type": "string", "enum": list(QUALITIES)}, mode="validation")
]
StateName = Literal["idle", "connecting", "live", "ended", "error"]
Name = Annotated[
    str,
    Field(min_length=1, max_length=NAME_MAX_CHARACTERS, json_schema_extra={"pattern": _NAME_PATTERN}),
    AfterValidator(one_line_of_text),
    AfterValidator(_not_blank),
]
Timestamp = Annotated[
    datetime,
    PlainSerializer(format_utc_s, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
StreamId = Annotated[str, Field(pattern="^ls_[0-9a-z]{26}$")]
EdgeId = Annotated[str, Field(pattern="^lse_[0-9a-z]{26}$")]


def _whole_number(value: object) -> object:
    """JSON has one kind of number: 60.0 is the integer 60."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


ReconnectWindow = Annotated[int, Field(ge=0, le=RECONNECT_WINDOW_S_MAX), BeforeValidator(_whole_number)]


def not_null(value: object, instead: str) -> object:
    """The value; raises for null, which means nothing that leaving the field out does not say better."""
    if value is None:
        raise PydanticCustomError("null", "must not be null; {instead}", {"instead": instead})
    return value


class Schema(BaseModel):
    """What all bodies share."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        strict=True,
        frozen=True,
    )


class CreateStream(Schema):
    """Request body of `POST /v1/live-streams`."""

    model_config = ConfigDict(validate_by_name=False)

    name: Name = Field(description="display name of the stream")
    quality: Quality = Field("standard", description="ladder that the stream is encoded to")
    low_latency: bool = Field(True, description="enable Low-Latency HLS")
    recording: bool = Field(False, description="record the stream for later playback")
    reconnect_window_seconds: ReconnectWindow | None = Field(
        None, description="seconds for which a session is held for its encoder's return; default: the node's setting"
    )

    @field_validator("reconnect_window_seconds", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        return not_null(value, "leave it out to get the default")


class UpdateStream(Schema):
    """Request body of `PATCH /v1/live-streams/{streamId}`: what is left out stays as it is."""

    model_config = ConfigDict(validate_by_name=False, json_schema_extra={"minProperties": 1})

    name: Name | None = Field(None, description="display name of the stream")
    quality: Quality | None = Field(None, description="ladder that the stream is encoded to")
    low_latency: bool | None = Field(None, description="enable Low-Latency HLS")
    recording: bool | None = Field(None, description="record the stream for later playback")
    reconnect_window_seconds: ReconnectWindow | None = Field(
        None, description="seconds for which a session is held for its encoder's return"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        return not_null(value, "leave it out to keep what it is")


class ListQuery(Schema):
    """Query parameters of `GET /v1/live-streams`."""

    model_config = ConfigDict(validate_by_name=False)

    limit: Annotated[int, Field(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT
    offset: Annotated[int, Field(ge=0, le=LIST_OFFSET_MAX)] = 0
    state: StateName | None = Field(None, description="only streams in this state")
    cursor: str | None = Field(
        None, pattern="^[0-9]{1,16}$", description="`nextCursor` of the page before: begin after its last stream"
    )


class Ingest(Schema):
    """Where an encoder pushes to, without the key."""

    rtmp_url: str
    srt_url: str
    rtmps_url: str | None = Field(None, description="only where RTMPS is on")


class IngestWithKey(Ingest):
    """Where an encoder pushes to, with the key: only in the response that creates it."""

    stream_key: str = Field(repr=False)
    rtmp_full_url: str = Field(repr=False)
    srt_full_url: str = Field(repr=False)
    rtmps_full_url: str | None = Field(None, repr=False, description="only where RTMPS is on")


class Playback(Schema):
    """Where viewers fetch from."""

    hls_url: str
    edge_id: str


class PlaybackWithViewers(Playback):
    """Where viewers fetch from, and how many do."""

    viewers: int | None = Field(
        None, ge=0, description="players that watch now, an estimate; only of one stream, while it is live"
    )


class StreamError(Schema):
    """Why a stream is in state `error`."""

    code: str = Field(description="a machine word, the `reason` of the event `stream.error`")
    message: str


class StreamBase(Schema):
    """The stream object but for `ingest` and `playback`. Times that have not come yet are left out."""

    stream_id: StreamId
    edge_id: EdgeId
    name: str
    state: State
    quality: str
    recording: bool
    low_latency: bool
    reconnect_window_seconds: int
    created_at: Timestamp
    started_at: Timestamp | None = Field(None, description="when the stream last went live")
    ended_at: Timestamp | None = Field(None, description="when the stream last ended")
    error: StreamError | None = Field(None, description="only in state `error`")


class IngestWithHealth(Ingest):
    """Where an encoder pushes to, and how what it pushes arrives."""

    health: IngestHealth | None = Field(None, description="only of one stream, while its encoder is connected")


class StreamResource(StreamBase):
    """The stream object."""

    ingest: IngestWithHealth
    playback: PlaybackWithViewers


class CreatedStream(StreamBase):
    """The stream object with its key: the response to `POST /v1/live-streams`."""

    ingest: IngestWithKey
    playback: Playback


class StreamList(Schema):
    """Response of `GET /v1/live-streams`."""

    streams: tuple[StreamResource, ...]
    total: int = Field(description="how many streams the list has in all")
    next_cursor: str | None = Field(None, description="left out on the last page")


class RotatedKey(Schema):
    """Response of `POST /v1/live-streams/{streamId}/rotate-key`."""

    stream_key: str = Field(repr=False)
    rtmp_full_url: str = Field(repr=False)
    srt_full_url: str = Field(repr=False)
    rtmps_full_url: str | None = Field(None, repr=False, description="only where RTMPS is on")


class ErrorBody(Schema):
    """What went wrong: a machine word, a sentence, and the field it is about if it is about one."""

    code: str
    message: str
    field: str | None = None


class ErrorResource(Schema):
    """Body of every error response."""

    error: ErrorBody
