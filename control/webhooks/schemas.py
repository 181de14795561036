"""The bodies of the webhook routes."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from control.schemas import ONE_LINE_PATTERN, Schema, Timestamp, one_line_of_text
from control.webhooks.url_policy import URL_MAX_CHARACTERS, URL_PATTERN

DESCRIPTION_MAX_CHARACTERS: Final = 200
SECRET_PATTERN: Final = "^whsec_[A-Za-z0-9+/]{43}=$"

EventTypeName = Literal[
    "stream.connecting",
    "stream.live",
    "stream.disconnected",
    "stream.reconnected",
    "stream.ended",
    "stream.error",
    "stream.created",
    "stream.updated",
    "stream.key_rotated",
    "stream.deleted",
    "recording.started",
    "recording.ready",
    "recording.failed",
    "recording.deleted",
]
DeliveryStateName = Literal["pending", "delivered", "dead"]

# The rest of the rules depends on the settings: see url_policy.
Url = Annotated[str, Field(min_length=1, max_length=URL_MAX_CHARACTERS, json_schema_extra={"pattern": URL_PATTERN})]
EventTypes = Annotated[list[EventTypeName], Field(max_length=20)]
Description = Annotated[
    str,
    Field(max_length=DESCRIPTION_MAX_CHARACTERS, json_schema_extra={"pattern": ONE_LINE_PATTERN}),
    AfterValidator(one_line_of_text),
]


class CreateWebhook(Schema):
    """Request body of `POST /v1/webhooks`."""

    model_config = ConfigDict(validate_by_name=False)

    url: Url = Field(description="where events are posted to; https, unless the installation allows http")
    event_types: EventTypes = Field([], description="only events of these types; empty: all")
    enabled: bool = Field(True, description="whether events are queued and delivered")
    description: Description = Field("", description="a note of your own")


class UpdateWebhook(Schema):
    """Request body of `PATCH /v1/webhooks/{webhookId}`: what is left out stays as it is."""

    model_config = ConfigDict(validate_by_name=False, json_schema_extra={"minProperties": 1})

    url: Url | None = Field(None, description="where events are posted to, those that wait already included")
    event_types: EventTypes | None = Field(None, description="only events of these types; empty: all")
    enabled: bool | None = Field(None, description="false pauses: what waits stays, new events are not queued")
    description: Description | None = Field(None, description="a note of your own")

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        if value is None:
            raise PydanticCustomError("null", "must not be null; leave it out to keep what it is")
        return value


class DeliveryCounts(Schema):
    """How many deliveries a webhook has by state; of the settled ones only the newest are remembered."""

    pending: int
    delivered: int
    dead: int


class WebhookResource(Schema):
    """A webhook. Its secret is only shown when it is made."""

    webhook_id: str
    url: str
    event_types: list[str]
    enabled: bool
    disabled_reason: str | None = Field(None, description="`gone`: the receiver answered 410 and was disabled")
    description: str
    created_at: Timestamp
    deliveries: DeliveryCounts


class CreatedWebhook(WebhookResource):
    """A webhook with its secret: the response to `POST /v1/webhooks`."""

    secret: str = Field(repr=False, description="what deliveries are signed with", pattern=SECRET_PATTERN)


class RotatedSecret(Schema):
    """Response of `POST /v1/webhooks/{webhookId}/rotate-secret`."""

    secret: str = Field(repr=False, description="what deliveries are signed with", pattern=SECRET_PATTERN)
    previous_valid_until: Timestamp = Field(description="until when deliveries carry a signature by the old secret too")


class WebhookList(Schema):
    """Response of `GET /v1/webhooks`."""

    webhooks: tuple[WebhookResource, ...] = Field(description="oldest first")
    total: int


class DeliveriesQuery(Schema):
    """Query parameters of `GET /v1/webhooks/{webhookId}/deliveries`."""

    model_config = ConfigDict(validate_by_name=False)

    state: DeliveryStateName | None = Field(None, description="only deliveries in this state; `dead`: given up")
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: str | None = Field(None, pattern="^[0-9]{1,15}$", description="`nextCursor` of the page before")


class DeliveryResource(Schema):
    """An event for a webhook."""

    delivery_id: str = Field(description="the event's id; the header `webhook-id` of every attempt")
    number: int = Field(description="counts the deliveries of the webhook; the header `antlive-delivery-number`")
    type: str
    stream_id: str = Field(description="empty for a test event")
    seq: int = Field(description="of the event; 0 for a test event")
    state: DeliveryStateName
    attempts: int
    created_at: Timestamp
    last_attempt_at: Timestamp | None = None
    next_attempt_at: Timestamp | None = Field(None, description="while it waits to be tried again")
    status_code: int | None = Field(None, description="of the last answer, if there was one")
    error: str | None = Field(None, description="why the last attempt failed")


class DeliveryWithPayload(DeliveryResource):
    """An event for a webhook, with what is posted."""

    payload: dict[str, Any]


class DeliveryList(Schema):
    """Response of `GET /v1/webhooks/{webhookId}/deliveries`."""

    deliveries: tuple[DeliveryResource, ...] = Field(description="newest first")
    total: int = Field(description="how many the list has in all")
    next_cursor: str | None = Field(None, description="left out on the last page")
