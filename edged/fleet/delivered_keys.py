"""What of the organisations' sealed keys goes into a push: one box's own, and the privacy officer's word for them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from edged.errors import ConfigError
from edged.uplink.sealed_keys import DeviceKeys, KeyTree, device_target, encode, index_target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from edged.fleet.layers import Delivery


class DeliveredKeys:
    """All that was delivered to audiences in `wanted`: those whose policy has the scope `organisation`."""

    def __init__(self, deliveries: Mapping[str, Delivery], wanted: Collection[str]) -> None:
        self._deliveries = {name: one for name, one in deliveries.items() if name in wanted}
        self._trees: dict[str, KeyTree] = {}

    def pins(self, device: str) -> dict[str, str]:
        """SHA-256 of each key as it is sealed to `device`: what its configuration's version depends on."""
        return {
            name: hashlib.sha256(msgspec.json.encode((one.number, one.sealed[device]))).hexdigest()
            for name, one in self._deliveries.items()
            if device in one.sealed
        }

    def check(self, device: str, audiences: Iterable[str]) -> None:
        """Whether each of these that has a key has one for `device`.

        Raises `ConfigError` (`fleet.no_organisation_key`): the box would refuse the push.
        """
        for name in self._of(audiences):
            if device not in self._deliveries[name].sealed:
                raise ConfigError(
                    f"audiences.{name}", "fleet.no_organisation_key", device=device, audience=name
                )

    def indexes(self, audiences: Iterable[str]) -> dict[str, bytes]:
        """The privacy officer's targets, by path: as they should have been signed."""
        return {
            index_target(name): encode(self._tree(name).index(name, self._deliveries[name].number))
            for name in self._of(audiences)
        }

    def own(self, device: str, audiences: Iterable[str]) -> dict[str, bytes]:
        """The box's own target, by path; nothing where it has no key. Raises `KeyError` where `check` would."""
        keys = {name: self._tree(name).proven(device) for name in self._of(audiences)}
        return {device_target(device): encode(DeviceKeys(1, device, keys))} if keys else {}

    def _of(self, audiences: Iterable[str]) -> list[str]:
        return [name for name in audiences if name in self._deliveries]

    def _tree(self, audience: str) -> KeyTree:
        if audience not in self._trees:
            self._trees[audience] = self._deliveries[audience].tree()
        return self._trees[audience]
