"""Measuring: jobs for the load generator, interleaved rounds, and ratios of pairs.

A single figure of a busy machine says little. So both applications take turns within every round, the ratio is taken
per round, and the median is printed with the smallest and the largest. A loop of plain Python is timed beside them:
when it varies, the machine did. The ratio of the processor time that the server processes took per call is printed too;
neighbours disturb it least, but it leaves out what the database server does and what is waited for.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from servers import Server

Request = Mapping[str, Any]
Figures = Mapping[str, Any]


class Load:
    """The load generator, in a process of its own. Use it in a ``with`` block."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "client.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(120)

    def run(self, server: Server, requests: Sequence[Request], clients: int, **job: Any) -> dict[str, Any]:
        """Figures of one job, ``seconds=`` or ``count=`` long. An answer that is not 2xx ends the benchmark."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        call = {"port": server.port, "token": server.token, "clients": clients, "requests": list(requests), **job}
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        figures: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        if not figures or figures["errors"]:
            raise SystemExit(f"{server.name} refused a call of the benchmark: {figures.get('sample')}")
        return figures


def calibration() -> float:
    """Milliseconds of a fixed loop of plain Python."""
    start = time.perf_counter()
    total = 0
    for number in range(300_000):
        total += number % 7
    assert total
    return (time.perf_counter() - start) * 1000


@dataclass
class Pair:
    """Two values per round whose ratio is what counts."""

    title: str
    goal: str
    """``>= 0.7`` or ``<= 4``."""
    unit: str = "/s"
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    our_processor: list[float] = field(default_factory=list)
    """Processor seconds per call, where they were measured."""
    their_processor: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """One ratio per round."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """Their median."""
        return statistics.median(self.ratios)

    @property
    def reached(self) -> bool:
        """Whether the goal was reached."""
        sign, _, number = self.goal.partition(" ")
        return self.ratio >= float(number) if sign == ">=" else self.ratio <= float(number)

    def line(self) -> str:
        """One line of the report."""
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        spread = f"({min(self.ratios):.2f}–{max(self.ratios):.2f})"
        mark = "ok  " if self.reached else "MISS"
        line = (
            f"{mark} {self.title:<46} {ours:>9.4g} {theirs:>9.4g} {self.unit:<4} "
            f"ratio {self.ratio:>6.2f} {spread:<14} goal {self.goal}"
        )
        if not self.our_processor or not statistics.median(self.our_processor):
            return line
        processor = statistics.median(self.their_processor) / statistics.median(self.our_processor)
        return f"{line}   (by processor time {processor:.2f})"


@dataclass
class Single:
    """A value with an upper limit."""

    title: str
    unit: str
    values: list[float]
    limit: float

    @property
    def reached(self) -> bool:
        """Whether the median keeps the limit."""
        return statistics.median(self.values) <= self.limit

    def line(self) -> str:
        """One line of the report."""
        middle = statistics.median(self.values)
        spread = f"({min(self.values):.3g}–{max(self.values):.3g})"
        mark = "ok  " if self.reached else "MISS"
        return f"{mark} {self.title:<46} {middle:>9.3g} {self.unit:<14} {spread:<25} goal <= {self.limit:g} {self.unit}"


def take_turns(pairs: Sequence[tuple[Pair, Callable[[], float], Callable[[], float]]], rounds: int) -> list[float]:
    """Measures every pair once per round, first one side, then the other, swapped in every other round.

    Returns the calibration loop's milliseconds of each round.
    """
    loops = []
    for number in range(rounds):
        loops.append(calibration())
        for pair, ours, theirs in pairs:
            if number % 2:
                pair.theirs.append(theirs())
                pair.ours.append(ours())
            else:
                pair.ours.append(ours())
                pair.theirs.append(theirs())
    return loops
