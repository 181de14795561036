"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a create that is sent again creates nothing more.

The answer is kept for a day and given again, stream key included. It is kept encrypted (AES-256-GCM) under a key that
derives from the caller's API key and the idempotency key, neither of which is stored: Redis alone cannot reveal it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web

from control.auth import bearer_key
from control.context import CALLER
from control.errors import ApiError, invalid_field
from control.routing import Header
from control.schemas import Schema
from streams.changes import KeptAnswer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEPT: Final = timedelta(hours=24)
HEADER: Final = "Idempotency-Key"
KEY_MAX_CHARACTERS: Final = 255
REPLAYED_HEADER: Final = "Idempotency-Replayed"

REQUEST_HEADER: Final = Header(
    HEADER,
    "A text of the client's choice, best a UUID, that names this request. Sent again within 24 hours with the same API "
    "key and body it creates nothing more and gets the same answer, stream key included; with another body, or when "
    "that stream was deleted since, it is 409.",
    {"type": "string", "pattern": f"^[!-~]{{1,{KEY_MAX_CHARACTERS}}}$"},
)
RESPONSE_HEADER: Final = Header(
    REPLAYED_HEADER, "`true` when this is the kept answer to an earlier request.", {"type": "string", "enum": ["true"]}
)

_VISIBLE_ASCII = re.compile(f"[!-~]{{1,{KEY_MAX_CHARACTERS}}}")
_NONCE_BYTES = 12
_INFO = b"antlive idempotent answer"


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """One request that names itself."""

    name_hash: str
    fingerprint: bytes  # of what is asked for
    _secret: bytes = field(repr=False)

    def keep(self, answer: str) -> KeptAnswer:
        """The answer as it is kept."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher().encrypt(nonce, answer.encode(), self.fingerprint)
        kept = f"{self.fingerprint.hex()}:{base64.b64encode(sealed).decode()}"
        return KeptAnswer(name_hash=self.name_hash, text=kept, kept=KEPT)

    def open(self, kept: str) -> str:
        """The answer that was kept. Raises `ApiError` 409 when it answered another question."""
        fingerprint, _, sealed_text = kept.partition(":")
        if fingerprint != self.fingerprint.hex():
            message = "this idempotency key was used for a request with another body; use a new one"
            raise ApiError(409, "idempotency_key_reused", message, field=HEADER)
        sealed = base64.b64decode(sealed_text)
        return self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self.fingerprint).decode()

    def _cipher(self) -> AESGCM:
        # Loaded by the first who needs it: the library takes 7 MB.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._secret)


def idempotent_request(request: web.Request, body: Schema) -> IdempotentRequest | None:
    """How a request names itself; None when it does not. Raises `ApiError` 400."""
    values = request.headers.getall(HEADER, [])
    if not values:
        return None
    if len(values) > 1:
        raise invalid_field(HEADER, f"the header {HEADER} is given {len(values)} times")
    if not _VISIBLE_ASCII.fullmatch(values[0]):
        bound = f"1 to {KEY_MAX_CHARACTERS} visible ASCII characters without spaces"
        raise invalid_field(HEADER, f"{HEADER} must be {bound}; it has {len(values[0])} characters")
    name = values[0].encode()
    scope = f"{request[CALLER].key_id} {request.method} {request.path} ".encode()
    secret = _derived(name, bearer_key(request).encode("utf-8", "surrogatepass"))
    return IdempotentRequest(
        hashlib.sha256(scope + name).hexdigest(), hashlib.sha256(body.model_dump_json().encode()).digest(), secret
    )


def _derived(name: bytes, api_key: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=name, info=_INFO).derive(api_key)
