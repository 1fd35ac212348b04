"""The whole exception tree.

A bad *document* is not an exception: it is a verdict with reasons. An exception's text never carries
bytes or text that came from a document, because exceptions reach logs.
"""

from __future__ import annotations


class EdgedError(Exception):
    """Root of everything edged raises on purpose; its text is one sentence that says what to do next."""


class CodedError(EdgedError):
    """An error with a sentence in the message catalogue.

    Attributes:
        code: reason code, a key of the message catalogue (`edged.messages`).
        params: what fills the sentence's placeholders.
    """

    def __init__(self, code: str, detail: str = "", /, **params: str) -> None:
        more = ", ".join(
            [*([detail] if detail else []), *(f"{name}={value}" for name, value in params.items())]
        )
        super().__init__(code + (f" ({more})" if more else ""))
        self.code = code
        self.detail = detail
        self.params = params


class ConfigError(CodedError):
    """The configuration is unusable.

    Attributes:
        where: the path of the bad key, behind the file's name where there is one.
    """

    def __init__(self, where: str, code: str, /, **params: str) -> None:
        super().__init__(code, **params)
        self.args = (f"{where}: {self}",)
        self.where = where

    def within(self, outer: str, joint: str = ": ") -> ConfigError:
        """The same error seen from further out: a file's name, or the key that leads to `where`."""
        return ConfigError(f"{outer}{joint}{self.where}", self.code, **self.params)


class DecodeError(CodedError):
    """Untrusted bytes broke their format.

    Attributes:
        what: the kind of input ("image", "mrz", "envelope", "message", …), never its content.
    """

    def __init__(self, what: str, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.args = (f"{what}: {self}",)
        self.what = what


class IdentityLeakError(EdgedError, TypeError):
    """Something tried to log, format, pickle, copy or serialise raw identity."""


class DeviceError(CodedError):
    """A device failed; the daemon reopens it with backoff.

    Attributes:
        device: name of the device ("camera", "head", …).
    """

    def __init__(self, device: str, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.args = (f"{device}: {self}",)
        self.device = device


class DeviceGoneError(DeviceError):
    """The device was unplugged or stopped answering."""


class HeadRefusedError(DeviceError):
    """The head answered a request with a status other than ok.

    Attributes:
        status: value of `edged.drivers.head_messages.Status`.
        number: what came with it: how long to wait in ms, the fault, the reason, or the offset; None without one.
    """

    def __init__(self, code: str, status: int, number: int | None = None) -> None:
        super().__init__("head", code, "" if number is None else str(number))
        self.status = status
        self.number = number


class ChipError(CodedError):
    """The chip refused, answered what it may not, or can't be spoken to any more.

    Attributes:
        sw: the status word it answered with (0x6982), where there was one.
    """

    def __init__(self, code: str, detail: str = "", /, sw: int | None = None, **params: str) -> None:
        super().__init__(code, detail or ("" if sw is None else f"SW {sw:04X}"), **params)
        self.sw = sw


class ChipGoneError(ChipError):
    """The card, or its reader, was taken away in the middle."""


class ChipOverrunError(ChipError):
    """A phase of the reading took longer than it may.

    Attributes:
        phase: value of `edged.core.emrtd.steps.Phase`.
    """

    def __init__(self, phase: str) -> None:
        super().__init__("chip.too_slow", phase=phase)
        self.phase = phase


class CertificateError(CodedError):
    """A certificate or key is unusable: wrong role or fleet, expired, unknown issuer, readable by others."""


class SignatureRefusedError(CodedError):
    """A signed message was refused; `code` is the reason, a key of the message catalogue."""


class PushRefusedError(CodedError):
    """What was pushed to this box was refused, and nothing of it was kept.

    Attributes:
        where: what is at fault: the bad key's path in a document, or the file or role of the metadata.
        push: number of the push as far as it could be read, unverified; 0 when it couldn't.
    """

    def __init__(self, code: str, where: str = "", push: int = 0, /, **params: str) -> None:
        super().__init__(code, **params)
        if where:
            self.args = (f"{where}: {self}",)
        self.where = where
        self.push = push


class SlipError(CodedError):
    """A slip can't be made, found or changed as it was asked for."""


class StateError(CodedError):
    """The state directory or its database can't be used (in use by another daemon, disk full, corrupt)."""


class OutputError(CodedError):
    """A file that was asked for can't be written; what was there before is as it was."""


class UplinkError(CodedError):
    """The broker refused or lost something; the envelope stays in the outbox.

    Attributes:
        mqtt_reason: the MQTT 5 reason code, where the broker gave one.
    """

    def __init__(self, code: str, detail: str = "", mqtt_reason: int | None = None) -> None:
        super().__init__(code, detail)
        self.mqtt_reason = mqtt_reason


class ControlError(CodedError):
    """The daemon's control socket can't be reached or refused a request."""
