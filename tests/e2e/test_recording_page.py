"""The page of a recording in a real Chromium: it plays from anywhere at once, and its seek bar shows what is there."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.browser import READ_CLOCK, open_page
from tests.e2e.node import Node, running_node, wait_until
from tests.e2e.test_recording import recordings, wait_for_recording

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEEK = """async (at_s) => {
  const video = document.getElementById('video');
  video.pause();
  const began = performance.now();
  await new Promise((resolve) => { video.onseeked = resolve; video.currentTime = at_s; });
  return performance.now() - began;
}"""


async def test_it_seeks_at_once_and_shows_thumbnails(tmp_path: Path) -> None:
    async with running_node(tmp_path, ANTLIVE_RECORDING_RESERVE_MB="1") as node:
        stream = await node.create(recording=True, reconnectWindowSeconds=0)
        url = stream["ingest"]["rtmpFullUrl"]
        command = ("-m", "antlive", "demo", "--url", url, "--size", "640x360", "--seconds", "24")
        encoder = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.DEVNULL)
        await node.wait_for_state(stream["streamId"], "live")
        await check_poster(node, stream["edgeId"])
        assert await encoder.wait() == 0
        ready = await wait_for_recording(node, stream["streamId"], "ready")
        assert ready["gaps"] == [] and [each["id"] for each in await recordings(node, stream["streamId"])] == [
            ready["id"]
        ]
        cues = (await node.text(ready["thumbnails"])).split("\n\n")[1:]
        assert len(cues) == 3 and cues[0].startswith("00:00:00.000 --> 00:00:1"), cues
        problems: list[str] = []
        async with open_page(f"{node.base_url}/player/{ready['id']}") as page:
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)

            async def loaded() -> bool:
                return bool(await page.evaluate("document.getElementById('video').readyState >= 2"))

            await wait_until(loaded, "the first picture")
            duration_s = await page.evaluate("document.getElementById('video').duration")
            assert duration_s == pytest.approx(ready["duration"], abs=0.1)
            clocks_ms = []
            for at_s in (3.0, 20.0, 10.5):
                took_ms = await page.evaluate(SEEK, at_s)
                assert took_ms < 3000
                clock = await page.evaluate(READ_CLOCK)
                assert clock is not None
                clocks_ms.append(clock["clock_ms"])
            # The clock in the picture has moved as far as the position.
            assert clocks_ms[1] - clocks_ms[0] == pytest.approx(17_000, abs=100)
            assert clocks_ms[2] - clocks_ms[0] == pytest.approx(7_500, abs=100)
            await page.locator("#position").hover(position={"x": 300, "y": 5})
            await page.locator("#preview").wait_for(state="visible")
            shown = await page.evaluate("getComputedStyle(document.getElementById('thumbnail')).backgroundImage")
            assert f"/vod/{ready['id']}/thumbnails/sheet-" in shown
            await page.screenshot(path=str(tmp_path / "page.png"))
        assert problems == []
        sheet = await node.bytes(shown.removeprefix('url("').removesuffix('")'))
        with Image.open(io.BytesIO(sheet)) as image:
            assert image.size == (800, 450)


async def check_poster(node: Node, edge_id: str) -> None:
    url = f"{node.base_url}/live/{edge_id}/poster.jpg"

    async def there() -> bool:
        async with node.http.get(url) as response:
            return response.status == 200

    await wait_until(there, "a poster")
    with Image.open(io.BytesIO(await node.bytes(url))) as image:
        assert image.size == (640, 360)
