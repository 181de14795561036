"""`/v1/webhooks/{webhookId}/deliveries`: list, the dead ones too; get; deliver again."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from control.context import ENVIRONMENT, store_deadline
from control.errors import conflict, not_found
from control.event_consumer import wall_clock_ms
from control.responses import json_response
from control.routing import PathParameter, Routes
from control.validation import read_query
from control.webhooks.policy import POLICY
from control.webhooks.resources import delivery_resource, delivery_with_payload
from control.webhooks.schemas import DeliveriesQuery, DeliveryList, DeliveryWithPayload
from control.webhooks.webhooks import WEBHOOK_ID, WEBHOOKS, no_such_webhook, webhook_disabled
from streams.webhook_model import DeliveryState
from streams.webhook_store import DeliveryPending, QueueFull, WebhookDisabled, WebhookNotFound

DELIVERY_ID: Final = PathParameter("deliveryId", "Id of the delivery.", "^ev_[0-7][0-9a-hjkmnp-tv-z]{25}$")

routes = Routes("Webhook deliveries", "What was, is being and could not be delivered.")


@routes.get(
    "/webhooks/{webhookId}/deliveries",
    summary="List deliveries",
    parameters=(WEBHOOK_ID,),
    query=DeliveriesQuery,
    response=DeliveryList,
)
async def list_deliveries(request: web.Request) -> web.Response:
    """Deliveries of a webhook, newest first. Of those that were delivered the last 1,000 are remembered, of the dead
    ones (`state=dead`: given up after a day) the last 10,000."""
    query = read_query(request, DeliveriesQuery)
    try:
        async with store_deadline():
            page = await request.config_dict[WEBHOOKS].deliveries(
                request[ENVIRONMENT],
                request.match_info["webhookId"],
                state=None if query.state is None else DeliveryState(query.state),
                limit=query.limit,
                below=None if query.cursor is None else int(query.cursor),
            )
    except WebhookNotFound:
        raise no_such_webhook() from None
    return json_response(
        DeliveryList(
            deliveries=tuple(delivery_resource(delivery) for delivery in page.deliveries),
            total=page.total,
            next_cursor=str(page.deliveries[-1].number) if page.has_more and page.deliveries else None,
        )
    )


@routes.get(
    "/webhooks/{webhookId}/deliveries/{deliveryId}",
    summary="Get a delivery",
    parameters=(WEBHOOK_ID, DELIVERY_ID),
    response=DeliveryWithPayload,
)
async def get_delivery(request: web.Request) -> web.Response:
    """A delivery with what is posted."""
    webhook_id, delivery_id = request.match_info["webhookId"], request.match_info["deliveryId"]
    try:
        async with store_deadline():
            delivery = await request.config_dict[WEBHOOKS].delivery(request[ENVIRONMENT], webhook_id, delivery_id)
    except WebhookNotFound:
        raise not_found("there is no such delivery, or it is remembered no more") from None
    return json_response(delivery_with_payload(delivery))


@routes.post(
    "/webhooks/{webhookId}/deliveries/{deliveryId}/redeliver",
    summary="Deliver again",
    parameters=(WEBHOOK_ID, DELIVERY_ID),
    response=DeliveryWithPayload,
    status=202,
    response_description="The delivery, queued.",
    errors=(409,),
)
async def redeliver(request: web.Request) -> web.Response:
    """Queues a delivery again that was delivered or is dead, under the same id and for another day. It goes beside the
    newer events of its stream, not before them. Not while it is pending, nor while the webhook is disabled."""
    webhook_id, delivery_id = request.match_info["webhookId"], request.match_info["deliveryId"]
    now_ms = wall_clock_ms()
    try:
        async with store_deadline():
            delivery = await request.config_dict[WEBHOOKS].redeliver(
                request[ENVIRONMENT],
                webhook_id,
                delivery_id,
                now_ms=now_ms,
                give_up_ms=now_ms + request.config_dict[POLICY].retry_horizon_ms,
            )
    except WebhookNotFound:
        raise not_found("there is no such delivery, or it is remembered no more") from None
    except DeliveryPending:
        raise conflict("delivery_pending", "the delivery is pending: it is tried again by itself") from None
    except WebhookDisabled:
        raise webhook_disabled() from None
    except QueueFull:
        raise conflict("queue_full", "the webhook has too many pending deliveries already") from None
    return json_response(delivery_with_payload(delivery), 202)
