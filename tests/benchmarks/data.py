"""The deals of the benchmark: the same at every run, for both applications."""

from __future__ import annotations

from typing import Any

INDUSTRIES = ("energy", "finance", "health", "retail", "software", "transport", "travel", "water")
CITIES = (("上海", "China"), ("Berlin", "Germany"), ("Toronto", "Canada"), ("Osaka", "Japan"), ("Lyon", "France"))


def deal_id(number: int) -> str:
    """The id of the deal with that number: a UUIDv7, in the order of numbers."""
    return f"01900000-{number >> 16 & 0xFFFF:04x}-7000-8000-{number:012x}"


def deal(number: int, code: str | None = None) -> dict[str, Any]:
    """The values of a deal as the API takes them."""
    mixed = number * 2_654_435_761 % 4_294_967_296
    city, country = CITIES[mixed % 5]
    return {
        "name": f"Deal {mixed % 1_000_000:06d} of {city}",
        "code": code or f"D-{number:09d}",
        "email": f"buyer{number}@example.com",
        "phone": f"+1 415 {mixed % 10_000_000:07d}",
        "website": f"https://www.example.com/{mixed}",
        "city": city,
        "country": country,
        "industry": INDUSTRIES[mixed % 8],
        "rating": ("hot", "warm", "cold")[mixed // 8 % 3],
        "source": ("web", "phone", "fair", "partner")[mixed // 32 % 4],
        "status": ("open", "won", "lost", "paused")[mixed // 128 % 4],
        "amount": f"{mixed % 10_000_000 / 100:.2f}",
        "price": f"{mixed % 99_999_999 / 10_000:.4f}",
        "discount": f"{mixed % 3000 / 100:.2f}",
        "quantity": mixed % 1000,
        "score": mixed % 101,
        "active": mixed % 3 != 0,
        "close_date": f"202{mixed % 10}-{mixed % 12 + 1:02d}-{mixed % 28 + 1:02d}",
        "signed_at": f"2026-{mixed % 12 + 1:02d}-{mixed % 28 + 1:02d}T{mixed % 24:02d}:{mixed % 60:02d}:00Z",
        "notes": f"Note {mixed}: wants an offer before the end of the quarter, in writing, with delivery terms.",
    }
