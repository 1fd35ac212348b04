"""Whole and right inputs of everything that reads a chip's bytes, the same ones in every run: what fuzzing breaks.

A state of no country issues: its keys are numbers written here, its signatures are deterministic (RFC 6979).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from functools import cache

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edged.core.emrtd.tlv import encode
from tests import lds_files
from tests.lds_files import integer, oid, sequence

BORN, DIES = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2035, 1, 1, tzinfo=dt.UTC)
AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10"
SECRETS = ("ERIKSSON", "L898902C3", "ZE184226B")
"""What may never stand in an exception's text."""

_SHA256 = sequence(oid(lds_files.OIDS["sha256"]))
_ECDSA = sequence(oid("2A8648CE3D040302"))
_CONTENT_TYPE, _DIGEST, _TIME = "2A864886F70D010903", "2A864886F70D010904", "2A864886F70D010905"
MASTER_LIST, SECURITY_INFOS = "678108010102", "04007F0007030201"


def _sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "UT"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


@cache
def key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0x1234567 + number, ec.SECP256R1())


@cache
def certificate(signer: bool = False) -> bytes:
    """The CSCA, or the document signer it issued; DER."""
    own = key(1 if signer else 0)
    built = (
        x509.CertificateBuilder()
        .subject_name(_name("Document Signer" if signer else "CSCA"))
        .issuer_name(_name("CSCA"))
        .public_key(own.public_key())
        .serial_number(2 if signer else 1)
        .not_valid_before(BORN)
        .not_valid_after(DIES)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key(0).public_key()), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=not signer, path_length=None if signer else 0), critical=True)
        .sign(key(0), hashes.SHA256(), ecdsa_deterministic=True)
    )
    return built.public_bytes(serialization.Encoding.DER)


@cache
def crl() -> bytes:
    revoked = x509.RevokedCertificateBuilder().serial_number(77).revocation_date(BORN).build()
    built = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name("CSCA"))
        .last_update(BORN)
        .next_update(DIES)
        .add_revoked_certificate(revoked)
        .add_extension(x509.CRLNumber(3), critical=False)
        .sign(key(0), hashes.SHA256(), ecdsa_deterministic=True)
    )
    return built.public_bytes(serialization.Encoding.DER)


def signed_data(content: bytes, kind: str) -> bytes:
    """CMS by the document signer, its certificate inside."""
    own = asn1_x509.Certificate.load(certificate(True))
    attributes = [
        sequence(oid(_CONTENT_TYPE), encode(0x31, oid(kind))),
        sequence(oid(_DIGEST), encode(0x31, encode(0x04, hashlib.sha256(content).digest()))),
        sequence(oid(_TIME), encode(0x31, encode(0x17, b"220101000000Z"))),
    ]
    inside = b"".join(sorted(attributes))
    signer = sequence(
        integer(1),
        sequence(own.issuer.dump(), integer(2)),
        _SHA256,
        encode(0xA0, inside),
        _ECDSA,
        encode(0x04, _sign(key(1), encode(0x31, inside))),
    )
    data = sequence(
        integer(3),
        encode(0x31, _SHA256),
        sequence(oid(kind), encode(0xA0, encode(0x04, content))),
        encode(0xA0, certificate(True)),
        encode(0x31, signer),
    )
    return sequence(oid(lds_files.SIGNED_DATA), encode(0xA0, data))


@cache
def public_key() -> bytes:
    """SubjectPublicKeyInfo."""
    return (
        key(2)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@cache
def explicit_key() -> bytes:
    """The same key, its curve spelt out."""
    from edged.core.emrtd.curves import curves

    curve = curves()["secp256r1"]
    point = public_key()[-65:]
    generator = b"\x04" + curve.gx.to_bytes(32, "big") + curve.gy.to_bytes(32, "big")
    parameters = sequence(
        integer(1),
        sequence(oid("2A8648CE3D0101"), integer(curve.p)),
        sequence(encode(0x04, curve.a.to_bytes(32, "big")), encode(0x04, curve.b.to_bytes(32, "big"))),
        encode(0x04, generator),
        integer(curve.n),
        integer(1),
    )
    return sequence(sequence(oid("2A8648CE3D0201"), parameters), encode(0x03, b"\x00" + point))


@cache
def rsa_key() -> bytes:
    """Of 2048 bits, its modulus a number like any other: for what reads keys."""
    modulus = int.from_bytes(hashlib.shake_256(b"modulus").digest(256), "big") | 1 << 2047 | 1
    inside = sequence(integer(modulus), integer(65_537))
    return sequence(sequence(oid("2A864886F70D010101"), b"\x05\x00"), encode(0x03, b"\x00" + inside))


def security_infos() -> bytes:
    """PACE in several ways, chip authentication with its key, active authentication."""
    infos = [
        sequence(oid("04007F00070202040202"), integer(2), integer(13)),
        sequence(oid("04007F00070202040204"), integer(2), integer(12)),
        sequence(oid("04007F00070202040102"), integer(2), integer(0)),
        sequence(oid("04007F00070202040602"), integer(2), integer(12)),
        sequence(oid("04007F00070202030202"), integer(1)),
        sequence(oid("04007F000702020102"), public_key()),
        sequence(oid("678108010105"), integer(1), oid("04007F00070101040103")),
    ]
    return encode(0x31, b"".join(sorted(infos)))


@cache
def files() -> dict[str, bytes]:
    """Every file of one chip."""
    images = lds_files.images()
    groups = {
        1: lds_files.dg1(TD3),
        2: lds_files.dg2(lds_files.template(lds_files.face_19794(images["jp2"], points=2))),
        7: lds_files.dg7(images["jpeg"]),
        11: lds_files.dg11(
            (0x5F0E, b"ERIKSSON<<ANNA<MARIA"),
            (0xA0, lds_files.several(0x5F0F, [b"A", "王".encode()])),
            (0x5F2B, b"19740812"),
            (0x5F11, b"ZENITH<UTOPIA"),
        ),
        12: lds_files.dg12(
            (0x5F19, b"UTOPIA"), (0x5F26, bytes.fromhex("20120415")), (0x5F55, b"20120415010203")
        ),
        14: encode(0x6E, security_infos()),
        15: encode(0x6F, public_key()),
    }
    listed = lds_files.security_object(
        lds_files.hashes_of(groups, "sha256"), version=1, versions=("0108", "040000")
    )
    tags = bytes(octets[0] for octets in groups.values())
    found = {f"dg{number}": octets for number, octets in groups.items()}
    found["dg2 39794"] = lds_files.dg2(lds_files.template(lds_files.face_39794(images["jpeg"]), 0x7F2E))
    found["dg2 j2k"] = lds_files.dg2(lds_files.template(lds_files.face_19794(images["j2k"])))
    found["dg2 several"] = lds_files.dg2(*[lds_files.template(lds_files.face_19794(images["jpeg"]))] * 2)
    permit = "CSC000000004<2404200<8108038<6NGKELMPONBPJZHENGJIAN<<YANGBENF<<B<<<<110<<<<<<<<<<<<<<<<<<<"
    found["dg1 permit"] = lds_files.dg1(permit)
    found["com"] = lds_files.ef_com(tags)
    found["security object"] = listed
    found["sod"] = encode(0x77, signed_data(listed, lds_files.LDS_SECURITY_OBJECT))
    found["card access"] = security_infos()
    found["card security"] = signed_data(security_infos(), SECURITY_INFOS)
    return found


@cache
def master_list() -> bytes:
    both = encode(0x31, certificate() + certificate(True))
    return signed_data(sequence(integer(0), both), MASTER_LIST)


def public_keys() -> dict[str, bytes]:
    return {"named": public_key(), "explicit": explicit_key(), "rsa": rsa_key()}


def certificates() -> dict[str, bytes]:
    return {"csca": certificate(), "signer": certificate(True)}


def signed() -> dict[str, bytes]:
    return {"list": master_list(), "sod": files()["sod"][4:], "card": files()["card security"]}


def signature_algorithms() -> dict[str, bytes]:
    sha256 = encode(0xA0, _SHA256)
    mgf1 = encode(0xA1, sequence(oid("2A864886F70D010108"), _SHA256))
    pss = sequence(sha256, mgf1, encode(0xA2, integer(32)))
    return {
        "ecdsa": _ECDSA,
        "pss": sequence(oid("2A864886F70D01010A"), pss),
        "rsa": sequence(oid("2A864886F70D01010B"), b"\x05\x00"),
    }


def ldif() -> bytes:
    coded = base64.b64encode(certificate())
    lines = [b"userCertificate;binary:: " + coded[:50]]
    lines += [b" " + coded[at : at + 70] for at in range(50, len(coded), 70)]
    head = b"version: 1\n\ndn: cn=UTO,o=csca,c=UT,dc=data,dc=download\nobjectClass: top\n"
    return head + b"\n".join(lines) + b"\n"
