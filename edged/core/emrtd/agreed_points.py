"""Multiples of a point by way of OpenSSL's key agreement, which tells x alone.

Scalar multiplication in Python is slow, and takes a time that depends on the scalar. An agreement gives x of
scalar · P; y is one of two roots, and x of (scalar + 1) · P tells which. Two agreements cost less than one
multiplication in Python on the curves for which OpenSSL has code of their own, and about as much on others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec
    from ecdsa.ellipticcurve import PointJacobi

    from edged.core.emrtd.curves import Curve

WORTH_IT: Final = frozenset({"secp224r1", "secp256r1", "secp384r1", "secp521r1"})
"""Curves on which it was faster, two to six times (`benchmarks/`)."""


def multiple(curve: Curve, theirs: ec.EllipticCurve, point: PointJacobi, scalar: int) -> PointJacobi:
    """scalar · point, for a point of `curve`, which `theirs` is too; `scalar` is 1 to n - 2."""
    from cryptography.hazmat.primitives.asymmetric import ec

    assert 1 <= scalar < curve.n - 1, "the next multiple must be a point, too"
    public = ec.EllipticCurvePublicNumbers(int(point.x()), int(point.y()), theirs).public_key()
    x, next_x = (
        ec.derive_private_key(each, theirs).exchange(ec.ECDH(), public) for each in (scalar, scalar + 1)
    )
    root = ec.EllipticCurvePublicKey.from_encoded_point(theirs, b"\x02" + x).public_numbers()
    found = curve.point(root.x, root.y)
    return (
        found
        if (found + point).x() == int.from_bytes(next_x, "big")
        else curve.point(root.x, curve.p - root.y)
    )
