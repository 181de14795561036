"""`/v1/webhooks`: create, list, get, change, rotate the secret, test, delete."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog
from aiohttp import web

from control.context import ENVIRONMENT, store_deadline
from control.errors import ApiError, conflict, invalid_field, not_found
from control.event_consumer import wall_clock_ms
from control.event_payload import payload_json
from control.responses import json_response, no_content
from control.routing import PathParameter, Routes
from control.validation import read_body
from control.webhooks.policy import POLICY, WebhookPolicy
from control.webhooks.resources import delivery_with_payload, time_of, webhook_fields, webhook_resource
from control.webhooks.schemas import (
    CreatedWebhook,
    CreateWebhook,
    DeliveryWithPayload,
    RotatedSecret,
    UpdateWebhook,
    WebhookList,
    WebhookResource,
)
from control.webhooks.signing import new_secret
from control.webhooks.url_policy import UrlRefused, check_url, is_public, literal_address
from streams.ids import new_event_id, new_webhook_id
from streams.store import StreamStore
from streams.times import format_utc_ms
from streams.webhook_model import DeliveryState, Webhook
from streams.webhook_store import WebhookDisabled, WebhookNotFound, WebhooksFull, WebhookStore

log = structlog.get_logger()

WEBHOOKS: Final = web.AppKey("webhooks", WebhookStore)
WEBHOOK_ID: Final = PathParameter("webhookId", "Id of the webhook.", "^wh_[0-7][0-9a-hjkmnp-tv-z]{25}$")
ROTATION_OVERLAP_MS: Final = 24 * 3600 * 1000
TEST_TYPE: Final = "webhook.test"

_LOOK_UP_S: Final = 0.5
_NONE_YET: Final = dict.fromkeys(DeliveryState, 0)
_LOOK_UPS: Final = ThreadPoolExecutor(4, thread_name_prefix="webhook-url")

routes = Routes(
    "Webhooks",
    "Where events are posted to. Deliveries are signed by the Standard Webhooks specification. Those of one stream "
    "come in order, one after the other. Each is tried again, under the same `webhook-id`, until the receiver answers "
    "2xx or a day has passed. The body is the event. A receiver may get an event twice, and knows it by its id.",
)


def add_webhooks(app: web.Application, store: StreamStore, policy: WebhookPolicy) -> None:
    """What the routes need, into the application of the API."""
    app[WEBHOOKS] = WebhookStore(store.redis, store.keys.prefix)
    app[POLICY] = policy


@routes.post(
    "/webhooks",
    summary="Create a webhook",
    request=CreateWebhook,
    response=CreatedWebhook,
    status=201,
    response_description="The new webhook with its signing secret, which is shown this once.",
    errors=(409,),
)
async def create(request: web.Request) -> web.Response:
    """Events from now on are delivered to the URL. The signing secret is only returned here and on rotation."""
    body = await read_body(request, CreateWebhook)
    await _check_url(body.url, request.config_dict[POLICY])
    webhook = Webhook(
        webhook_id=new_webhook_id(),
        env=request[ENVIRONMENT],
        url=body.url,
        event_types=tuple(dict.fromkeys(body.event_types)),
        enabled=body.enabled,
        description=body.description,
        created_ms=wall_clock_ms(),
        secret=new_secret(),
    )
    try:
        async with store_deadline():
            await request.config_dict[WEBHOOKS].add(webhook)
    except WebhooksFull as error:
        raise conflict("too_many_webhooks", str(error)) from None
    log.info("webhook_created", webhook_id=webhook.webhook_id, env=webhook.env)
    return json_response(CreatedWebhook(**webhook_fields(webhook, _NONE_YET), secret=webhook.secret), 201)


@routes.get("/webhooks", summary="List webhooks", response=WebhookList)
async def list_webhooks(request: web.Request) -> web.Response:
    """All webhooks of your environment, oldest first."""
    store = request.config_dict[WEBHOOKS]
    async with store_deadline():
        webhooks = await store.list(request[ENVIRONMENT])
        counts = await store.counts([webhook.webhook_id for webhook in webhooks])
    resources = tuple(webhook_resource(each, count) for each, count in zip(webhooks, counts, strict=True))
    return json_response(WebhookList(webhooks=resources, total=len(resources)))


@routes.get("/webhooks/{webhookId}", summary="Get a webhook", parameters=(WEBHOOK_ID,), response=WebhookResource)
async def get(request: web.Request) -> web.Response:
    """A webhook without its secret."""
    try:
        async with store_deadline():
            webhook = await request.config_dict[WEBHOOKS].get(request[ENVIRONMENT], request.match_info["webhookId"])
            return await _answer(request, webhook)
    except WebhookNotFound:
        raise no_such_webhook() from None


@routes.patch(
    "/webhooks/{webhookId}",
    summary="Change a webhook",
    parameters=(WEBHOOK_ID,),
    request=UpdateWebhook,
    response=WebhookResource,
)
async def update(request: web.Request) -> web.Response:
    """Sets the given fields and leaves the others. A webhook that is enabled again goes on with what was waiting."""
    body = await read_body(request, UpdateWebhook)
    fields = body.model_dump(exclude_unset=True)
    if not fields:
        known = ", ".join(field.alias or name for name, field in UpdateWebhook.model_fields.items())
        raise ApiError(400, "nothing_to_change", f"give at least one of {known}")
    if body.url is not None:
        await _check_url(body.url, request.config_dict[POLICY])
    webhook_id = request.match_info["webhookId"]
    try:
        async with store_deadline():
            webhook = await request.config_dict[WEBHOOKS].update(request[ENVIRONMENT], webhook_id, **fields)
            log.info("webhook_updated", webhook_id=webhook_id, env=webhook.env, fields=sorted(fields))
            return await _answer(request, webhook)
    except WebhookNotFound:
        raise no_such_webhook() from None


@routes.delete("/webhooks/{webhookId}", summary="Delete a webhook", parameters=(WEBHOOK_ID,), response=None, status=204)
async def delete(request: web.Request) -> web.Response:
    """Deletes a webhook with all its deliveries; those that wait are not sent any more."""
    webhook_id = request.match_info["webhookId"]
    try:
        async with store_deadline():
            await request.config_dict[WEBHOOKS].delete(request[ENVIRONMENT], webhook_id)
    except WebhookNotFound:
        raise no_such_webhook() from None
    log.info("webhook_deleted", webhook_id=webhook_id, env=request[ENVIRONMENT])
    return no_content()


@routes.post(
    "/webhooks/{webhookId}/rotate-secret",
    summary="Rotate the signing secret",
    parameters=(WEBHOOK_ID,),
    response=RotatedSecret,
    response_description="The new signing secret, which is shown this once.",
)
async def rotate_secret(request: web.Request) -> web.Response:
    """Makes a new secret. For 24 hours deliveries carry two signatures, by the new secret and by the one before."""
    secret, until_ms = new_secret(), wall_clock_ms() + ROTATION_OVERLAP_MS
    webhook_id, env = request.match_info["webhookId"], request[ENVIRONMENT]
    try:
        async with store_deadline():
            await request.config_dict[WEBHOOKS].rotate(env, webhook_id, secret, previous_until_ms=until_ms)
    except WebhookNotFound:
        raise no_such_webhook() from None
    log.info("webhook_secret_rotated", webhook_id=webhook_id, env=env)
    return json_response(RotatedSecret(secret=secret, previous_valid_until=time_of(until_ms)))


@routes.post(
    "/webhooks/{webhookId}/test",
    summary="Send a test event",
    parameters=(WEBHOOK_ID,),
    response=DeliveryWithPayload,
    status=202,
    response_description="The delivery, queued.",
    errors=(409,),
)
async def send_test(request: web.Request) -> web.Response:
    """Queues an event of type `webhook.test`, whatever types the webhook wants. It is tried once; get the delivery to
    see what came of it. Not while the webhook is disabled."""
    webhook_id, now_ms, event_id = request.match_info["webhookId"], wall_clock_ms(), new_event_id()
    payload: dict[str, Any] = {
        "id": event_id,
        "type": TEST_TYPE,
        "streamId": "",
        "edgeId": "",
        "sessionId": "",
        "state": "idle",
    }
    payload |= {"at": format_utc_ms(time_of(now_ms)), "seq": 0, "reason": "test", "data": {"webhookId": webhook_id}}
    try:
        async with store_deadline():
            delivery = await request.config_dict[WEBHOOKS].send(
                request[ENVIRONMENT],
                webhook_id,
                event_id=event_id,
                event_type=TEST_TYPE,
                body=payload_json(payload),
                now_ms=now_ms,
                give_up_ms=now_ms,
            )
    except WebhookNotFound:
        raise no_such_webhook() from None
    except WebhookDisabled:
        raise webhook_disabled() from None
    return json_response(delivery_with_payload(delivery), 202)


def no_such_webhook() -> ApiError:
    """404."""
    return not_found("there is no such webhook")


def webhook_disabled() -> ApiError:
    """409."""
    return conflict("webhook_disabled", "the webhook is disabled; enable it first")


async def _answer(request: web.Request, webhook: Webhook) -> web.Response:
    counts = await request.config_dict[WEBHOOKS].counts([webhook.webhook_id])
    return json_response(webhook_resource(webhook, counts[0]))


async def _check_url(url: str, policy: WebhookPolicy) -> None:
    """Raises `ApiError` 400. A name that does not resolve now may do so later: only where it leads to is looked at."""
    try:
        host = check_url(url, policy)
    except UrlRefused as refused:
        raise invalid_field("url", str(refused)) from None
    if policy.allow_private or literal_address(host) is not None:
        return
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_LOOK_UP_S):
            found = await loop.run_in_executor(_LOOK_UPS, socket.getaddrinfo, host, None, 0, socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        log.info("webhook_host_not_resolved", error=type(error).__name__)
        return
    for *_, address in found:
        if not is_public(ipaddress.ip_address(str(address[0]).partition("%")[0])):
            raise invalid_field("url", f"url must not lead to {address[0]}, which is no public address")
