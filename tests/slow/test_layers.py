"""Temporal layers in real browsers: a Chromium sends three, another one watches with all, two and one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.slow import heldmedia
from tests.slow.chromium import ARGS, FakeDevices, find_chromium, make_devices
from tests.slow.mediadoor import MediaDoor
from tests.slow.stack import free_port
from tests.slow.watcher import room, until

pytestmark = pytest.mark.slow

SETTLE_S, LOOK_S = 1.5, 4.0
SHARES = {"FULL": 1.0, "HALF": 0.5, "BASE": 0.25}

CONNECT = """async ([url, codec, host]) => {
  const pc = window.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  if (host) {
    const PICTURE = { width: 640, height: 360, frameRate: 15 };
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: PICTURE });
    pc.addTransceiver(media.getAudioTracks()[0], { direction: "sendonly" });
    const sendEncodings = [{ maxBitrate: 350000, scalabilityMode: "L1T3" }];
    const video = pc.addTransceiver(media.getVideoTracks()[0], { direction: "sendonly", sendEncodings });
    const all = RTCRtpSender.getCapabilities("video").codecs;
    video.setCodecPreferences(all.filter(({ mimeType }) => [`video/${codec}`, "video/rtx"].includes(mimeType)));
  } else {
    pc.ontrack = ({ track }) => {
      const element = document.body.appendChild(document.createElement(track.kind));
      Object.assign(element, { autoplay: true, muted: true, srcObject: new MediaStream([track]) });
    };
    pc.addTransceiver("audio", { direction: "recvonly" });
    pc.addTransceiver("video", { direction: "recvonly" });
  }
  await pc.setLocalDescription();
  const headers = { "Content-Type": "application/sdp" };
  const response = await fetch(url, { method: "POST", headers, body: pc.localDescription.sdp });
  const sdp = await response.text();
  await pc.setRemoteDescription({ type: "answer", sdp });
  return sdp;
}"""

LOOK = """async () => {
  const found = { at: performance.now() / 1000 };
  for (const entry of (await window.pc.getStats()).values()) {
    if (entry.kind === "video" && entry.type === "inbound-rtp") {
      const { framesDecoded, keyFramesDecoded, pliCount } = entry;
      Object.assign(found, { frames: framesDecoded, requests: pliCount, keyframes: keyFramesDecoded });
    }
    if (entry.kind === "video" && entry.type === "outbound-rtp") found.mode = entry.scalabilityMode;
  }
  return found;
}"""


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> FakeDevices:
    """A camera of 15 pictures a second and a microphone, made of files."""
    return make_devices(tmp_path_factory.mktemp("devices"))


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[MediaDoor]:
    """A media process whose viewers are held to a rung."""
    heldmedia.hold(tmp_path, "FULL")
    async with MediaDoor(tmp_path, free_port(), module="tests.slow.heldmedia") as running:
        yield running


async def open_page(browser, door: MediaDoor) -> Page:
    """Open an empty page of the door's origin."""
    page = await (await browser.new_context()).new_page()
    await page.route(
        f"{door.url}/", lambda route: route.fulfill(content_type="text/html", body="<!doctype html><body>")
    )
    await page.goto(f"{door.url}/")
    return page


async def frames_per_s(page: Page) -> float:
    """Return what is decoded over a while."""
    first = await page.evaluate(LOOK)
    await asyncio.sleep(LOOK_S)
    last = await page.evaluate(LOOK)
    return (last["frames"] - first["frames"]) / (last["at"] - first["at"])


@pytest.mark.parametrize("codec", ["AV1", "VP8"])
async def test_a_viewer_with_fewer_layers(door: MediaDoor, devices: FakeDevices, codec: str) -> None:
    """Held to HALF and BASE a viewer decodes about half and a quarter of the frames, and all again at FULL.

    None of the changes makes the viewer ask for a keyframe.
    """
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    files = (
        f"--use-file-for-fake-video-capture={devices.camera}",
        f"--use-file-for-fake-audio-capture={devices.microphone}",
    )
    async with async_playwright() as playwright:
        launch = playwright.chromium.launch
        browser = await launch(executable_path=find_chromium(), args=[*ARGS, *fake, *files])
        host, viewer = await open_page(browser, door), await open_page(browser, door)
        answer = await host.evaluate(CONNECT, [f"{door.url}/whip/lesson", codec, True])
        assert ("dependency-descriptor" in answer) == (codec == "AV1")

        async def live() -> bool:
            return (await room(door, "lesson")).get("state") == "live"

        async def decodes() -> bool:
            return (await viewer.evaluate(LOOK)).get("frames", 0) > 10

        await until(live, "the lesson is live")
        await viewer.evaluate(CONNECT, [f"{door.url}/whep/lesson", codec, False])
        await until(decodes, "pictures are decoded")
        await asyncio.sleep(SETTLE_S)
        before, seen = await viewer.evaluate(LOOK), {}
        for rung in ("HALF", "BASE", "FULL"):
            heldmedia.hold(door.data, rung)
            await asyncio.sleep(SETTLE_S)
            seen[rung] = await frames_per_s(viewer)
        after, sent = await viewer.evaluate(LOOK), await host.evaluate(LOOK)
        await browser.close()
    assert sent["mode"] == "L1T3"
    assert {rung: fps / seen["FULL"] for rung, fps in seen.items()} == pytest.approx(SHARES, rel=0.25)
    assert after["requests"] == before["requests"]
    assert after["keyframes"] <= before["keyframes"] + 1  # encoders make one now and then by themselves
