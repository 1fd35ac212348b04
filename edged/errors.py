"""The whole exception tree.

A bad *document* is not an exception: it is a verdict with reasons. An exception's text never carries
bytes or text that came from a document, because exceptions reach logs.
"""


class EdgedError(Exception):
    """Root of everything edged raises on purpose; its text is one sentence that says what to do next."""


class ConfigError(EdgedError):
    """The configuration is unusable; the text starts with the path of the bad key."""


class DecodeError(EdgedError):
    """Untrusted bytes broke their format.

    Attributes:
        what: the kind of input ("image", "mrz", "envelope", "message", …), never its content.
        code: reason code, a key of the message catalogue (`edged.messages`).
    """

    def __init__(self, what: str, code: str, detail: str = "") -> None:
        super().__init__(f"{what}: {code}" + (f" ({detail})" if detail else ""))
        self.what = what
        self.code = code


class IdentityLeakError(EdgedError, TypeError):
    """Something tried to log, format, pickle, copy or serialise raw identity."""


class DeviceError(EdgedError):
    """A device failed; the daemon reopens it with backoff.

    Attributes:
        device: name of the device ("camera", "head", …).
        code: reason code, a key of the message catalogue.
    """

    def __init__(self, device: str, code: str, detail: str = "") -> None:
        super().__init__(f"{device}: {code}" + (f" ({detail})" if detail else ""))
        self.device = device
        self.code = code


class DeviceGoneError(DeviceError):
    """The device was unplugged or stopped answering."""


class CertificateError(EdgedError):
    """A certificate or key is unusable: wrong role or fleet, expired, unknown issuer, readable by others."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code + (f" ({detail})" if detail else ""))
        self.code = code


class SignatureRefusedError(EdgedError):
    """A signed message was refused; `code` is the reason, a key of the message catalogue."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code + (f" ({detail})" if detail else ""))
        self.code = code


class StateError(EdgedError):
    """The state directory or its database can't be used (in use by another daemon, disk full, corrupt)."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code + (f" ({detail})" if detail else ""))
        self.code = code


class UplinkError(EdgedError):
    """The broker refused or lost something; the envelope stays in the outbox.

    Attributes:
        code: reason code, a key of the message catalogue.
        mqtt_reason: the MQTT 5 reason code, where the broker gave one.
    """

    def __init__(self, code: str, detail: str = "", mqtt_reason: int | None = None) -> None:
        super().__init__(code + (f" ({detail})" if detail else ""))
        self.code = code
        self.mqtt_reason = mqtt_reason


class ControlError(EdgedError):
    """The daemon's control socket can't be reached or refused a request."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code + (f" ({detail})" if detail else ""))
        self.code = code
