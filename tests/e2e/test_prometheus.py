"""A real Prometheus scrapes a node with a live stream, and evaluates every alert and the dashboard's queries."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy.files import DEPLOY, PROMETHEUS
from tests.e2e.node import Node, pushing, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def prometheus(node: Node, directory: Path) -> AsyncIterator[str]:
    """Our configuration with this node as the one target, scraped every 200 ms. Yields the server's URL."""
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "200ms", "evaluation_interval": "200ms", "scrape_timeout": "200ms"}
    configuration["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
    target = node.base_url.removeprefix("http://")
    configuration["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=error",
    )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def test_prometheus_evaluates_all_that_is_deployed(node: Node, small_clip: Path, tmp_path: Path) -> None:
    async def asked(path: str, **parameters: str) -> Any:
        async with node.http.get(server + path, params=parameters) as response:
            answer = await response.json(content_type=None)
            assert answer["status"] == "success", answer
            return answer["data"]

    async def value(query: str) -> float:
        result = (await asked("/api/v1/query", query=query))["result"]
        return float(result[0]["value"][1]) if result else 0.0

    stream = await node.create(quality="standard")
    async with (
        prometheus(node, tmp_path) as server,
        pushing(small_clip, f"{node.rtmp_url}/{stream['ingest']['streamKey']}"),
    ):

        async def scraped() -> bool:
            try:
                return await value('antlive_sessions{state="live",tier="standard"}') >= 1
            except OSError:
                return False

        await wait_until(scraped, "a live session in Prometheus", 20)
        assert await value('up{job="antlive"}') == 1

        async def evaluated() -> bool:
            rules = [rule for group in (await asked("/api/v1/rules"))["groups"] for rule in group["rules"]]
            assert not [rule for rule in rules if rule["health"] == "err"]
            return len(rules) > 10 and all(rule["health"] == "ok" for rule in rules)

        await wait_until(evaluated, "every alert evaluated")
        ringing = [alert["labels"]["alertname"] for alert in (await asked("/api/v1/alerts"))["alerts"]]
        assert not {"AntliveNodeDown", "AntliveIngestDown", "AntliveRedisAway", "AntliveNoEventLeader"} & set(ringing)

        dashboard = json.loads((DEPLOY / "grafana/antlive.json").read_text())
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        # Variables as Grafana fills them in.
        filled = [
            query.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$__range", "1m")
            for query in queries
        ]
        assert not [query for query in filled if "$" in query]
        for query in filled:
            await asked("/api/v1/query", query=query)
