"""Pictures of the page that `mien serve` shows: with a mouse and on a phone, light and dark, English and Chinese.

    python benchmarks/page_pictures.py OUT [--model MODEL]

Needs Chromium and playwright. The portrait is of Eileen Collins (NASA, public domain, shipped by scikit-image), the
group that of benchmarks/group_picture.py; the camera's film is the portrait, drifting. Writes PNG files into OUT.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import skimage.data
from group_picture import compose
from PIL import Image
from playwright.sync_api import sync_playwright
from serve_clients import Server

from mien.deploy.locate import model_file

DESK = {"viewport": {"width": 1180, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
FLAGS = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


def main() -> None:
    """One server, one browser, a context for each kind of visitor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(model_file(options.model)) as server,
        sync_playwright() as tool,
    ):
        film = write_film(Path(folder, "film.mjpeg"))
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={film}"]
        browser = tool.chromium.launch(executable_path=chromium, args=flags)
        portrait = as_file(Image.fromarray(skimage.data.astronaut()))
        group = as_file(compose())
        shots: dict[str, tuple[bytes | None, dict[str, Any]]] = {
            "empty": (None, DESK),
            "portrait": (portrait, DESK),
            "group": (group, DESK),
            "group-dark": (group, DESK | {"color_scheme": "dark"}),
            "portrait-chinese": (portrait, DESK | {"locale": "zh-CN"}),
            "phone": (portrait, PHONE),
            "phone-dark-chinese": (group, PHONE | {"color_scheme": "dark", "locale": "zh-CN"}),
        }
        for name, (picture, habits) in shots.items():
            page = open_page(browser, server.port, habits)
            if picture:
                page.set_input_files("#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture})
                page.wait_for_selector(".face")
            shoot(page, options.out / f"{name}.png")
        page = open_page(browser, server.port, DESK)
        page.click("#camera")
        page.wait_for_selector(".face")
        page.wait_for_timeout(6000)
        print("camera:", page.text_content("#rate"))
        shoot(page, options.out / "camera.png")
        browser.close()


def open_page(browser: Any, port: int, habits: dict[str, Any]) -> Any:
    """A new visitor's page."""
    page = browser.new_context(permissions=["camera"], **habits).new_page()
    page.goto(f"http://127.0.0.1:{port}/")
    return page


def shoot(page: Any, path: Path) -> None:
    """A picture of the whole page, once bars and frames have settled."""
    page.wait_for_timeout(500)
    page.screenshot(path=path, full_page=True)
    page.close()


def as_file(picture: Image.Image) -> bytes:
    """A picture as JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=92)
    return file.getvalue()


def write_film(path: Path) -> Path:
    """Two seconds of the portrait, drifting, as motion JPEG of 640×480."""
    portrait = Image.fromarray(skimage.data.astronaut()).resize((760, 760))
    with path.open("wb") as film:
        for i in range(60):
            x = 2 * min(i, 60 - i)
            portrait.crop((x, 0, x + 640, 480)).save(film, "JPEG", quality=90)
    return path


if __name__ == "__main__":
    main()
