"""The console in real Chromium, against a running node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, expect

from tests.clips import synthetic_clip
from tests.e2e.browser import open_page
from tests.e2e.inside import role
from tests.e2e.node import Node, pushing, running_node

HOSTILE = '<script>document.title = "owned"</script><img src=x onerror=alert(1)>'
OPEN = {"ANTLIVE_WEBHOOK_ALLOW_HTTP": "true", "ANTLIVE_WEBHOOK_ALLOW_PRIVATE": "true"}


@asynccontextmanager
async def signed_in(node: Node) -> AsyncIterator[Page]:
    """The console's page after signing in; nothing may have gone wrong in it by the end."""
    problems: list[str] = []
    async with open_page(f"{node.base_url}/") as page:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if "Security Policy" in message.text else None)
        await page.get_by_label("API key").fill(node.api_key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Streams")).to_be_visible()
        yield page
        assert problems == []


async def create(page: Page, name: str) -> str:
    """Make a stream in the page; the RTMP URL with its key, as it is shown once."""
    await page.get_by_role("button", name="New stream").click()
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("button", name="Create", exact=True).click()
    shown = page.get_by_role("dialog", name="The stream is ready")
    url = await shown.locator(".copy-row", has_text="RTMP with key").locator("code").inner_text()
    await shown.get_by_role("button", name="I have it").click()
    await expect(shown).to_have_count(0)
    return url


async def test_a_wrong_key_is_told_and_a_right_one_is_kept_in_the_tab(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, open_page(f"{node.base_url}/") as page:
        await page.get_by_label("API key").fill("ak_wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("This API key is not valid.")
        await page.get_by_label("API key").fill(node.api_key)
        await page.keyboard.press("Enter")
        await expect(page.locator("#link")).to_have_text("live")
        await page.reload()
        await expect(page.get_by_role("heading", name="Streams")).to_be_visible()
        assert node.api_key not in page.url
        await page.get_by_role("button", name="Sign out").click()
        await page.reload()
        await expect(page.get_by_label("API key")).to_be_visible()


async def test_a_stream_from_its_creation_to_its_end_without_a_reload(tmp_path: Path) -> None:
    clip = synthetic_clip(tmp_path / "clip.mp4", seconds=3)
    async with running_node(tmp_path, ANTLIVE_RECONNECT_WINDOW_S="1") as node, signed_in(node) as page:
        url = await create(page, "Evening show")
        row = page.get_by_role("link", name="Evening show")
        await expect(row).to_contain_text("idle")
        async with pushing(clip, url):
            await expect(row).to_contain_text("live", timeout=15_000)
            await row.click()
            player = page.frame_locator("iframe").locator("#stage[data-state=playing]")
            await expect(player).to_be_visible(timeout=15_000)
            happened = page.get_by_role("list", name="What happened").get_by_role("listitem")
            await expect(happened.filter(has_text="renditions ready")).to_contain_text("live")
            await expect(page.locator(".plot", has_text="Bitrate").locator("strong")).to_contain_text("bit/s")
            for name in ("New key", "Change", "Delete"):
                await expect(page.get_by_role("button", name=name)).to_be_disabled()
            await page.get_by_role("button", name="End session").click()
            await page.get_by_role("dialog").get_by_role("button", name="End it").click()
            await expect(page.locator(".head .state")).to_have_text("ended")
        await page.get_by_role("button", name="New key").click()
        await page.get_by_role("dialog").get_by_role("button", name="Make a new key").click()
        shown = page.get_by_role("dialog", name="The new key")
        assert (await shown.locator(".copy-row", has_text="RTMP with key").locator("code").inner_text()) != url
        await shown.get_by_role("button", name="I have it").click()
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("heading", name="Streams")).to_be_visible()
        await expect(row).to_have_count(0)


async def test_what_others_do_shows_by_itself_and_names_are_only_text(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, signed_in(node) as page:
        await expect(page.locator("#link")).to_have_text("live")
        names = page.locator(".rows .name")
        stream = await node.create(name=HOSTILE)
        await expect(names.get_by_text(HOSTILE)).to_be_visible()
        async with node.http.patch(
            f"{node.api_url}/{stream['streamId']}", json={"name": "renamed"}, headers=node.auth
        ) as response:
            assert response.status == 200
        await expect(names.get_by_text("renamed")).to_be_visible()
        assert await page.title() == "antlive console"
        role(node, "web").kill()
        await expect(page.locator("#link")).to_have_text("reconnecting …")
        await expect(page.locator("#link")).to_have_text("live", timeout=20_000)
        await node.create(name="after the restart")
        await expect(names.get_by_text("after the restart")).to_be_visible()


async def test_the_focus_stays_where_it_is_while_things_happen(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, signed_in(node) as page:
        stream = await node.create(name="one")
        await page.get_by_role("link", name="one").focus()
        await node.create(name="two")
        await expect(page.get_by_role("link", name="two")).to_be_visible()
        await expect(page.get_by_role("link", name="one")).to_be_focused()
        await page.keyboard.press("Enter")
        copy = page.get_by_role("button", name="Copy HLS")
        await copy.focus()
        async with node.http.patch(
            f"{node.api_url}/{stream['streamId']}", json={"name": "renamed"}, headers=node.auth
        ) as response:
            assert response.status == 200
        await expect(page.get_by_role("heading", name="renamed")).to_be_visible()
        await expect(copy).to_be_focused()
        assert await page.title() == "renamed – antlive"


async def test_by_keyboard_on_a_phone(tmp_path: Path) -> None:
    async with running_node(tmp_path, **OPEN) as node, signed_in(node) as page:
        await page.set_viewport_size({"width": 360, "height": 740})
        for name in ("short", "a name that is much longer than a phone is wide " * 3):
            await node.create(name=name)
        for view in ("#/streams", f"#/streams/{(await node.create())['streamId']}", "#/webhooks"):
            await page.evaluate("view => { location.hash = view; }", view)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            wide_px = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide_px <= 0, f"{view} is {wide_px} px too wide"
        await page.get_by_role("button", name="New webhook").focus()
        await page.keyboard.press("Enter")
        await page.get_by_label("URL").fill("http://127.0.0.1:9/")
        await page.keyboard.press("Enter")
        await page.get_by_role("dialog", name="The webhook is ready").wait_for()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="New webhook")).to_be_focused()
        link = page.get_by_role("link", name="http://127.0.0.1:9/")
        await link.focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Send a test").press("Enter")
        deliveries = page.get_by_role("list", name="Deliveries")
        await expect(deliveries).to_contain_text("webhook.test")
        await node.create(name="one more")
        await expect(deliveries).to_contain_text("stream.created")
        await expect(deliveries).to_contain_text("can't connect: Connection refused")


async def test_the_pages_run_nothing_from_elsewhere(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        for path in ("/", "/console/main.js", "/console/console.css"):
            async with node.http.get(node.base_url + path) as response:
                assert response.status == 200
                policy = response.headers["Content-Security-Policy"]
                text = await response.text()
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert "onclick=" not in text and "http://" not in text.replace("http://www.w3.org/", "")
