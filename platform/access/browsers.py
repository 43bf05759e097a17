"""What people call the browser that names itself in a request."""

from __future__ import annotations

_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("MicroMessenger", "WeChat"), ("Firefox/", "Firefox"),
             ("Chrome", "Chrome"), ("Safari/", "Safari"))  # fmt: skip
"""A mark in what a browser says of itself → its name; most claim to be others, too, so the order counts."""
_SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "macOS"),
            ("Linux", "Linux"))  # fmt: skip


def browser_of(agent: str) -> str:
    """What people call the browser that names itself so: “Firefox, Windows”."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), agent.partition("/")[0][:40])
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{browser}, {system}" if system else browser
