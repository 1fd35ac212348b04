"""Open what an edged envelope has sealed for you: `python open_sealed.py KEY.pem < payload.json`.

Needs `cryptography` with HPKE (50 is known to have it) and nothing of edged. The input is the payload of an envelope
that you have VERIFIED ("Verifying an envelope" on the partners' page): without the signature you open what anybody has
sealed, because your public key is no secret. Prints what was sealed as JSON: personal data, for standard output alone.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

ALGORITHM = "HPKE-P256-SHA256-A256GCM"
SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def key_id(key):
    """What `kid` is for your key: which of them a message was sealed to."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]


def open_part(payload, name, what, keys):
    """`payload[name]`, opened; None where nothing is sealed. Raises ValueError with the reason."""
    sealed = payload.get(name)
    if sealed is None:
        return None
    if sealed["alg"] != ALGORITHM or sealed["what"] != what:
        raise ValueError(f"{name}: sealed in another way, or for another use")
    key = next((one for one in keys if key_id(one) == sealed["kid"]), None)
    if key is None:
        raise ValueError(f"{name}: sealed to the key {sealed['kid']}, which isn't here")
    # Where it belongs: what is sealed opens in this envelope, and in no other audience's, box's or policy's.
    record_id = payload["record_id"] if what == "record" else None
    context = [
        payload["fleet"],
        payload["iss"],
        payload["audience"],
        payload["policy"]["sha256"],
        record_id or "",
    ]
    info = json.dumps(["edged/1/sealed", what, *context], separators=(",", ":"), ensure_ascii=False).encode()
    data = base64.urlsafe_b64decode(sealed["data"] + "=" * (-len(sealed["data"]) % 4))
    try:
        return json.loads(SUITE.decrypt(data, key, info))
    except InvalidTag:
        raise ValueError(f"{name}: changed on the way, or another envelope's") from None


def main(paths):
    keys = [load_pem_private_key(Path(path).read_bytes(), password=None) for path in paths]
    payload = json.load(sys.stdin)
    opened = {
        "claims": open_part(payload, "encrypted", "claims", keys) or payload["claims"],
        "record": open_part(payload, "record", "record", keys),
    }
    print(json.dumps(opened, ensure_ascii=False))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"refused: {error}")
