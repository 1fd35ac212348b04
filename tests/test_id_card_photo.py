"""The hook for a licensed decoder of ID-card photos: absent, present, broken, and strangers' texts kept out."""

from __future__ import annotations

import io
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from edged import log
from edged.core.id_card import IdCardPhoto
from edged.drivers import id_card_photo
from edged.drivers.id_card_photo import GROUP, decode_photo, find_decoder
from edged.emulator.id_cards import noise
from edged.errors import ConfigError, DecodeError
from tests import logging_state


def install(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    """As if a package brought these entry points."""
    found = EntryPoints(EntryPoint(name, value, GROUP) for name, value in points)
    monkeypatch.setattr(id_card_photo, "entry_points", lambda group: found.select(group=group))


def decode(octets: bytes) -> np.ndarray:
    """A decoder as a vendor brings it; the photo's first octet is the blue of all."""
    return np.full((126, 102, 3), octets[0], np.uint8)


def test_without_a_decoder_a_photo_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert find_decoder() is None
    assert decode_photo(IdCardPhoto(noise("x")), None) is None


def test_the_decoder_that_is_installed_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("vendor", f"{__name__}:decode"))
    monkeypatch.setattr(EntryPoint, "load", lambda self: decode)
    picture = decode_photo(IdCardPhoto(noise("x")), find_decoder())
    assert picture is not None
    assert picture.reveal().shape == (126, 102, 3)
    assert picture.reveal()[0, 0, 0] == noise("x")[0]
    assert "102" not in repr(picture)


def test_two_decoders_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("one", "json:loads"), ("two", "json:dumps"))
    with pytest.raises(ConfigError) as refused:
        find_decoder()
    assert refused.value.code == "idcard.several_decoders"
    assert refused.value.params["names"] == "one, two"


@pytest.mark.parametrize("value", ["no.such.module:x", "json:no_such_name", "json:__name__"])
def test_a_decoder_that_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    install(monkeypatch, ("vendor", value))
    with pytest.raises(ConfigError) as refused:
        find_decoder()
    assert refused.value.code == "idcard.decoder_unusable"


def raises(octets: bytes) -> np.ndarray:
    raise ValueError(f"can't decode {octets!r}")


@pytest.mark.parametrize(
    "decoder",
    [
        raises,
        lambda octets: None,
        lambda octets: octets,
        lambda octets: np.zeros((126, 102), np.uint8),
        lambda octets: np.zeros((126, 102, 4), np.uint8),
        lambda octets: np.zeros((126, 102, 3), np.float32),
        lambda octets: np.zeros((0, 102, 3), np.uint8),
        lambda octets: np.zeros((1025, 1, 3), np.uint8),
    ],
)
def test_a_decoder_that_fails_leaks_nothing(decoder: id_card_photo.PhotoDecoder) -> None:
    stream = io.StringIO()
    with logging_state.restored():
        log.configure("debug", stream=stream)
        with pytest.raises(DecodeError) as refused:
            decode_photo(IdCardPhoto(noise("x")), decoder)
    assert refused.value.code == "idcard.photo_unreadable"
    said = f"{refused.value!r} {refused.value.__context__!r} {refused.value.__cause__!r} {stream.getvalue()}"
    assert "decode b" not in said
