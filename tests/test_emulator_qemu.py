"""The emulated head without a machine: what its pins' changes mean, and what QEMU's two sockets say."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from edged.emulator import qemu_head, qemu_monitor
from edged.emulator.head_outputs import BUZZER, STROBE, Outputs
from edged.emulator.qemu_head import QemuHead
from edged.emulator.qemu_monitor import Monitor, Pins
from edged.errors import StateError
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

WHITE, UV, RED, GREEN = 0, 2, 5, 6


def said(outputs: Outputs) -> list[str]:
    return list(outputs._lines)


async def settled(outputs: Outputs) -> None:
    await until(lambda: outputs._settling is None)


async def test_a_dimmed_lamp_is_one_that_is_on() -> None:
    outputs = Outputs()
    for _ in range(5):
        outputs.changed(WHITE, high=True)
        outputs.changed(WHITE, high=False)
        outputs._settled()
    assert said(outputs) == ["lamp white on"]
    await settled(outputs)
    assert said(outputs) == ["lamp white on", "lamp off"]


async def test_a_lamp_that_stays_on_is_on() -> None:
    outputs = Outputs()
    outputs.changed(UV, high=True)
    await settled(outputs)
    assert outputs.now["lamp"] == "uv365 on"


async def test_an_led_s_colours_change_together() -> None:
    outputs = Outputs()
    outputs.changed(RED, high=True)
    outputs.changed(GREEN, high=True)
    outputs.changed(RED, high=False)
    await settled(outputs)
    assert said(outputs) == ["led green"]


async def test_strobe_and_buzzer_are_told_edge_by_edge_until_a_reset_ends_everything() -> None:
    outputs = Outputs()
    outputs.begin()
    outputs.changed(STROBE, high=True)
    outputs.changed(STROBE, high=False)
    outputs.changed(BUZZER, high=True)
    outputs.changed(UV, high=True)
    outputs.reset()
    assert said(outputs) == [
        "strobe 1",
        "strobe 0",
        "buzzer 1",
        "lamp uv365 on",
        "reset",
        "lamp off",
        "buzzer 0",
    ]
    outputs.deaf = True
    outputs.changed(WHITE, high=True)
    assert outputs.now["lamp"] == "off"
    outputs.ended()
    assert [line async for line in outputs.lines()] == [
        *("strobe 1", "strobe 0", "buzzer 1", "lamp uv365 on", "reset", "lamp off", "buzzer 0"),
    ]


class Peer:
    """Somebody who answers lines in place of QEMU: `say` maps a line to all that comes back."""

    def __init__(self, path: Path, say: Callable[[str], str]) -> None:
        self.path, self.say, self.heard = path, say, list[str]()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.say("").encode())
        while line := (await reader.readline()).decode().strip():
            self.heard.append(line)
            if (answer := self.say(line)) == "bye":
                break
            writer.write(answer.encode())
        writer.close()


def monitor(line: str) -> str:
    if not line:
        return '{"QMP": {}}\n'
    match json.loads(line)["execute"]:
        case "qmp_capabilities":
            return '{"return": {}}\n'
        case "system_reset":
            return '{"event": "RESET", "data": {"guest": false}}\n{"return": {}}\n'
        case "query-status":
            return '{"return": {"running": true}}\n'
        case "quit":
            return "bye"
    return '{"error": {"class": "CommandNotFound"}}\n'


async def test_the_monitor_tells_events_from_answers(tmp_path: Path) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    async with Peer(tmp_path / "qmp", monitor):
        qmp = await Monitor.open(tmp_path / "qmp", lambda name, data: events.append((name, data)))
        asked = [qmp.execute("system_reset"), qmp.execute("query-status")]
        assert await asyncio.gather(*asked) == [{}, {"running": True}]
        assert events == [("RESET", {"guest": False})]
        with pytest.raises(StateError, match=r"qemu_head\.refused"):
            await qmp.execute("fly")
        with pytest.raises(StateError, match=r"qemu_head\.gone"):
            await qmp.execute("quit")
        with pytest.raises(StateError, match=r"qemu_head\.gone"):
            await qmp.execute("query-status")
        await qmp.close()


async def test_whoever_is_silent_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_monitor, "ANSWER_S", 0.01)
    async with Peer(tmp_path / "qtest", lambda _: ""):
        pins = await Pins.open(tmp_path / "qtest", lambda pin, high: None)
        with pytest.raises(StateError, match=r"qemu_head\.gone"):
            await pins.read(0)
        await pins.close()


async def test_pins_are_driven_and_heard(tmp_path: Path) -> None:
    def qtest(line: str) -> str:
        match line.split():
            case ["readl", address]:
                return f"IRQ raise 3\nOK {int(address, 16) + 1:#018x}\nIRQ lower 3\n"
            case ["set_irq_in" | "irq_intercept_out", *_]:
                return "OK\n"
        return "FAIL unknown\n" if line else ""

    changes: list[tuple[int, bool]] = []
    async with Peer(tmp_path / "qtest", qtest) as peer:
        pins = await Pins.open(tmp_path / "qtest", lambda pin, high: changes.append((pin, high)))
        await pins.watch("/machine/port")
        await pins.drive("/machine/port", 1, 0)
        assert await pins.read(0x40007000) == 0x40007001
        await until(lambda: len(changes) == 2)
        with pytest.raises(StateError, match=r"qemu_head\.refused"):
            await pins.write(0x40007000, 1)
        await pins.close()
    assert changes == [(3, True), (3, False)]
    assert peer.heard[1] == "set_irq_in /machine/port unnamed-gpio-in 1 0"


async def test_a_head_that_is_not_switched_on_says_so(tmp_path: Path) -> None:
    head = QemuHead(tmp_path)
    for act in (head.reset, lambda: head.button(down=True), lambda: head.peek(0)):
        with pytest.raises(StateError, match=r"qemu_head\.gone"):
            await act()
    with pytest.raises(StateError, match=r"qemu_head\.gone"):
        _ = head.port


def test_what_is_missing_has_a_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(qemu_head, "SOURCE", tmp_path)
    monkeypatch.setattr(qemu_head.shutil, "which", lambda name: None)
    assert qemu_head.missing() == "qemu_head.no_qemu"
    monkeypatch.setattr(qemu_head.shutil, "which", lambda name: name)
    assert qemu_head.missing() == "qemu_head.no_source"
    (tmp_path / "Makefile").touch()
    monkeypatch.setattr(qemu_head.shutil, "which", lambda name: name if name != "arm-none-eabi-gcc" else None)
    assert qemu_head.missing() == "qemu_head.no_compiler"
    with pytest.raises(StateError, match=r"qemu_head\.no_compiler"):
        qemu_head.build()


async def test_without_qemu_it_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(qemu_head.shutil, "which", lambda name: None)
    with pytest.raises(StateError, match=r"qemu_head\.no_qemu"):
        await QemuHead(tmp_path).__aenter__()
