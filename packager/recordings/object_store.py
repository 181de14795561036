"""An S3-compatible store of recordings: objects go in verified, and come out by signed URL or in pieces."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from config.settings import Settings

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Config

SIGNED_S: Final = 3600
"""So long a signed URL holds."""

_CONNECT: Final = timedelta(seconds=5)
_READ: Final = timedelta(seconds=20)
_REQUEST: Final = timedelta(seconds=60)
_AWAY: Final = "the store can't be reached"
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS: Final = re.compile(r"status code: (\d{3})")
_DELETED_AT_ONCE: Final = 1000


class StoreError(Exception):
    """The store did not do it; the text says why, and holds neither keys nor URLs."""


class NoObject(StoreError):
    """The store has no such object, or no such bucket."""


class ObjectStore:
    """The objects below a bucket's prefix. Every call raises `StoreError`; nothing is tried twice here.

    Objects go up in one request each, never as multipart uploads: what breaks off leaves nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None = None,
        region: str = "us-east-1",
        access_key: str | None = None,
        secret_key: str | None = None,
    ) -> None:
        # Imported only where there is a store.
        from obstore.store import S3Store

        parts = urlsplit(url)
        self._origin = (endpoint or f"https://{parts.netloc}.s3.{region}.amazonaws.com").rstrip("/")
        config: S3Config = {}
        if access_key is not None and secret_key is not None:
            config = {"access_key_id": access_key, "secret_access_key": secret_key}
        if endpoint is not None:
            config["endpoint"] = endpoint
        self._store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            region=region,
            virtual_hosted_style_request=endpoint is None,
            checksum_algorithm="SHA256",
            client_options={
                "allow_http": True, "connect_timeout": _CONNECT, "read_timeout": _READ, "timeout": _REQUEST
            },
            retry_config={"max_retries": 0},
            config=config,
        )  # fmt: skip

    @classmethod
    def of(cls, settings: Settings) -> ObjectStore | None:
        """The store that the settings name."""
        if settings.recording_store is None:
            return None
        return cls(
            settings.recording_store,
            endpoint=settings.recording_store_endpoint,
            region=settings.recording_store_region,
            access_key=settings.recording_store_access_key,
            secret_key=settings.recording_store_secret_key,
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port of signed URLs."""
        return self._origin

    async def put(self, name: str, data: bytes, kind: str) -> None:
        """Store an object. The store is sent its SHA-256 to check; what it answers is checked in turn."""
        from obstore import head_async, put_async

        try:
            answer = await put_async(
                self._store, name, data, attributes={"Content-Type": kind}, use_multipart=False, mode="overwrite"
            )
            if (answer["e_tag"] or "").strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest():
                return
            # An ETag need not be an MD5: not where the store encrypts with keys of its own.
            stored_bytes = (await head_async(self._store, name))["size"]
        except Exception as error:
            raise _store_error(error) from None
        if stored_bytes != len(data):
            raise StoreError(f"the store holds {stored_bytes} bytes of {len(data)}")

    async def get(self, name: str) -> bytes:
        """A whole object."""
        from obstore import get_async

        try:
            return bytes(await (await get_async(self._store, name)).bytes_async())
        except Exception as error:
            raise _store_error(error) from None

    def read(self, name: str, start: int, size_bytes: int) -> bytes:
        """So many bytes of an object. Blocks."""
        from obstore import get_range

        try:
            return bytes(get_range(self._store, name, start=start, length=size_bytes))
        except Exception as error:
            raise _store_error(error) from None

    async def stream(
        self, name: str, start: int | None = None, end: int | None = None
    ) -> tuple[int, int, int, AsyncIterator[bytes]]:
        """Start, end and size of what is asked for, and its bytes; a negative start counts from the end."""
        from obstore import get_async

        options: GetOptions = {}
        if start is not None:
            options["range"] = {"suffix": -start} if start < 0 else {"offset": start} if end is None else (start, end)
        try:
            result = await get_async(self._store, name, options=options)
        except Exception as error:
            raise _store_error(error) from None

        async def body() -> AsyncIterator[bytes]:
            try:
                async for piece in result.stream(min_chunk_size=256 << 10):
                    yield bytes(piece)
            except Exception as error:
                raise _store_error(error) from None

        return result.range[0], result.range[1], result.meta["size"], body()

    async def names(self, prefix: str) -> list[str]:
        """The names of all objects below a prefix, which ends with a slash or is empty."""
        from obstore import list as list_objects

        try:
            return [meta["path"] async for page in list_objects(self._store, prefix) for meta in page]
        except Exception as error:
            raise _store_error(error) from None

    async def tops(self, prefix: str) -> list[str]:
        """The names of the objects below a prefix that have no slash after it."""
        from obstore import list_with_delimiter_async

        try:
            return [meta["path"] for meta in (await list_with_delimiter_async(self._store, prefix))["objects"]]
        except Exception as error:
            raise _store_error(error) from None

    async def delete_all(self, prefix: str) -> int:
        """Delete every object below a prefix; how many there were."""
        from obstore import delete_async

        count = 0
        while names := await self.names(prefix):
            for start in range(0, len(names), _DELETED_AT_ONCE):
                try:
                    await delete_async(self._store, names[start : start + _DELETED_AT_ONCE])
                except Exception as error:
                    if not isinstance(error, FileNotFoundError):
                        raise _store_error(error) from None
            count += len(names)
        return count

    async def signed_url(self, name: str, method: str = "GET") -> str:
        """A URL by which anybody may fetch this object for `SIGNED_S`. Asks nobody, where keys are given."""
        from obstore import sign_async

        try:
            allowed = timedelta(seconds=SIGNED_S)
            return await sign_async(self._store, "HEAD" if method == "HEAD" else "GET", name, allowed)
        except Exception as error:
            raise _store_error(error) from None


def _store_error(error: Exception) -> StoreError:
    """What the library says, without the request that it quotes."""
    if isinstance(error, StoreError):
        return error
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    why = code.group(1) if code else status.group(1) if status else ""
    if isinstance(error, FileNotFoundError) or why in ("NoSuchKey", "NoSuchBucket", "404"):
        return NoObject(f"the store has none: {why or 'not found'}")
    if why:
        return StoreError(f"the store refuses: {why}")
    return StoreError("the store did not answer in time" if "timed out" in text else _AWAY)
