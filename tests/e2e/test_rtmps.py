"""RTMPS: a real ffmpeg over TLS, and a certificate that is renewed while the node runs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.certificates import common_name, write_certificate
from tests.e2e.node import Node, pushing, running_node, wait_until
from tests.e2e.test_process import refused_start

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key."""
    directory = tmp_path_factory.mktemp("tls")
    cert_file, key_file = directory / "cert.pem", directory / "key.pem"
    write_certificate(cert_file, key_file, "first")
    return cert_file, key_file


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tls_node(tmp_path_factory: pytest.TempPathFactory, files: tuple[Path, Path]) -> AsyncIterator[Node]:
    cert_file, key_file = files
    variables = {
        "ANTLIVE_RTMPS_PORT": "0", "ANTLIVE_TLS_CERT": str(cert_file), "ANTLIVE_TLS_KEY": str(key_file),
    }  # fmt: skip
    async with running_node(tmp_path_factory.mktemp("tls-node"), **variables) as running:
        yield running


def served_name(node: Node) -> str:
    """The common name of the certificate that the node serves now."""
    port = urlsplit(node.rtmps_url).port
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port or 0), timeout=5) as plain, context.wrap_socket(plain) as tls:
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return common_name(der)


async def test_an_encoder_publishes_over_tls(tls_node: Node, small_clip: Path) -> None:
    stream = await tls_node.create(quality="passthrough")
    url = stream["ingest"]["rtmpsFullUrl"]
    assert url == f"{stream['ingest']['rtmpsUrl']}/{stream['ingest']['streamKey']}"
    assert urlsplit(url).port == urlsplit(tls_node.rtmps_url).port
    async with pushing(small_clip, url, "-c", "copy", "-tls_verify", "0"):
        await tls_node.wait_for_state(stream["streamId"], "live")

        async def told() -> bool:
            found = (await tls_node.stream(stream["streamId"]))["ingest"].get("health", {})
            return bool(found.get("protocol") == "rtmps")

        await wait_until(told, "health of the connection")


async def test_no_session_ticket_comes_before_the_first_answer(tls_node: Node) -> None:
    # librtmp on GnuTLS takes one for the end of the connection.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def has_ticket() -> bool:
        port = urlsplit(tls_node.rtmps_url).port or 0
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as tls:
            tls.sendall(b"\x03" + bytes(1536))
            assert tls.recv(1) == b"\x03" and tls.version() == "TLSv1.3"
            return tls.session is not None and tls.session.has_ticket

    assert not await asyncio.to_thread(has_ticket)


async def test_a_renewed_certificate_is_served_and_a_broken_one_is_not(
    tls_node: Node, files: tuple[Path, Path], small_clip: Path
) -> None:
    assert await asyncio.to_thread(served_name, tls_node) == "first"
    stream = await tls_node.create(quality="passthrough")
    url = f"{tls_node.rtmps_url}/{stream['ingest']['streamKey']}"
    async with pushing(small_clip, url, "-c", "copy", "-tls_verify", "0") as encoder:
        await tls_node.wait_for_state(stream["streamId"], "live")
        files[0].write_text("no certificate")

        async def refused() -> bool:
            return any("certificate_not_loaded" in line for line in tls_node.log_lines)

        await wait_until(refused, "a line about the broken file")
        assert await asyncio.to_thread(served_name, tls_node) == "first"
        write_certificate(*files, "second")

        async def renewed() -> bool:
            return await asyncio.to_thread(served_name, tls_node) == "second"

        await wait_until(renewed, "the new certificate")
        assert encoder.returncode is None
        assert (await tls_node.stream(stream["streamId"]))["state"] == "live"


async def test_plain_bytes_on_the_tls_port_end_their_own_connection_only(tls_node: Node) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(tls_node.rtmps_url).port or 0)
    writer.write(b"\x03" + bytes(1536))
    async with asyncio.timeout(10):
        assert not (await reader.read()).startswith(b"\x03")
    writer.close()
    assert await asyncio.to_thread(served_name, tls_node)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ANTLIVE_RTMPS_PORT": "0"}, "needs tls_cert and tls_key"),
        (
            {"ANTLIVE_RTMPS_PORT": "0", "ANTLIVE_TLS_CERT": "/nowhere/cert.pem", "ANTLIVE_TLS_KEY": "/nowhere/key.pem"},
            "/nowhere/cert.pem",
        ),
    ],
)
async def test_a_certificate_that_is_not_there_ends_the_start(
    tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    code, text = await refused_start(tmp_path, **variables)
    assert code != 0 and words in text and "Traceback" not in text, text
