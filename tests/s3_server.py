"""A real S3 server for tests: nanio, which checks signatures and answers as S3 does; buckets are folders.

With `S3_TEST_SERVER=versitygw` it is that one, from the PATH.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from packager.recordings.object_store import ObjectStore

BUCKET = "recordings"
ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-of-the-store"


@dataclass(slots=True)
class S3Server:
    """A server that can be stopped and started again at its port."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a node must be told to record to it."""
        return {
            "ANTLIVE_RECORDING_STORE": f"s3://{BUCKET}/shows",
            "ANTLIVE_RECORDING_STORE_ENDPOINT": self.endpoint,
            "ANTLIVE_RECORDING_STORE_ACCESS_KEY": ACCESS_KEY,
            "ANTLIVE_RECORDING_STORE_SECRET_KEY": SECRET_KEY,
        }

    def store(self, secret_key: str = SECRET_KEY) -> ObjectStore:
        """A client of it."""
        return ObjectStore(f"s3://{BUCKET}/shows", endpoint=self.endpoint, access_key=ACCESS_KEY, secret_key=secret_key)

    def objects(self) -> dict[str, int]:
        """Sizes of all objects, by name."""
        bucket = self.directory / BUCKET
        sizes_bytes: dict[str, int] = {}
        files = [Path(folder, name) for folder, _, names in os.walk(bucket) for name in names]
        for path in sorted(files):
            name = path.relative_to(bucket).as_posix()
            if not name.startswith("."):
                with suppress(FileNotFoundError):  # deleted at this moment
                    sizes_bytes[name] = path.stat().st_size
        return sizes_bytes

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        (self.directory / BUCKET).mkdir(parents=True, exist_ok=True)
        if os.environ.get("S3_TEST_SERVER") == "versitygw":
            keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
            command = ["versitygw", "--port", f"127.0.0.1:{self.port}", "posix", "--nometa", str(self.directory)]
        else:
            keys = {"NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY}
            command = [sys.executable, "-m", "nanio", "serve", "--data-dir", str(self.directory), "--host", "127.0.0.1"]
            command += ["--port", str(self.port), "--no-access-log"]
        log = (self.directory.parent / "s3.log").open("ab")
        with log:
            self.process = subprocess.Popen(command, env={**os.environ, **keys}, stdout=log, stderr=log)
        deadline_s = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline_s, "the S3 server does not start"
                time.sleep(0.02)

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def s3_server(directory: Path) -> Iterator[S3Server]:
    """A running server whose data lie in this directory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = S3Server(directory, free.getsockname()[1])
    server.start()
    try:
        yield server
    finally:
        server.stop()
