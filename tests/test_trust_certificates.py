"""Chains against the fleet's authority: what is issued verifies, every deviation is refused by its code."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from edged.central.answers import OUT_OF_TIME
from edged.errors import CertificateError, SignatureRefusedError
from edged.uplink import sign
from edged.uplink.authority import DOCUMENT_SIGNING, FleetAuthority
from edged.uplink.keys import generate_key, load_private, private_pem
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import MAX_ANCHORS, MAX_PEM, TrustAnchor, load_chain
from tests.trust_support import FLEET, NOW, anchor, authority, certificate, chain, key

if TYPE_CHECKING:
    from pathlib import Path

BOX = Principal(FLEET, Role.DEVICE, "box-1")


def refusal(
    certificates: list[x509.Certificate],
    *,
    usage: Usage = Usage.SIGNING,
    at: datetime = NOW,
    against: TrustAnchor | None = None,
) -> str:
    with pytest.raises(CertificateError) as caught:
        (against or anchor()).verify(certificates, usage=usage, at=at)
    return caught.value.code


def forged(**changes: Any) -> x509.Certificate:
    """A signing certificate as the authority issues it, but for `changes`."""
    uris = changes.get("names", [x509.UniformResourceIdentifier(BOX.uri)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(changes.get("subject", common_name("box-1")))
        .issuer_name(changes.get("issuer") or load_chain(authority().certificate_pem)[0].subject)
        .public_key(changes.get("public_key", key().public_key()))
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(days=397))
    )
    extensions: list[tuple[x509.ExtensionType | None, bool]] = [
        (changes.get("constraints", x509.BasicConstraints(ca=False, path_length=None)), True),
        (changes.get("key_usage", key_usage("digital_signature")), True),
        (changes.get("extended", x509.ExtendedKeyUsage([DOCUMENT_SIGNING])), True),
        (x509.SubjectAlternativeName(uris) if uris else None, False),
        *changes.get("more", ()),
    ]
    for extension, critical in extensions:
        if extension is not None:
            builder = builder.add_extension(extension, critical=critical)
    signing_key = changes.get("signing_key") or load_private(authority().key_pem)
    return builder.sign(signing_key, changes.get("hash", hashes.SHA256()))


def common_name(*names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])


def key_usage(*granted: str) -> x509.KeyUsage:
    every = (
        *(
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
        ),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in granted for name in every})


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("usage", Usage)
def test_what_the_authority_issues_verifies_for_its_usage_alone(role: Role, usage: Usage) -> None:
    leaf = certificate(role, "someone", usage)
    assert anchor().verify([leaf], usage=usage, at=NOW) == Principal(FLEET, role, "someone")
    other = Usage.TLS if usage is Usage.SIGNING else Usage.SIGNING
    assert refusal([leaf], usage=other) == "cert.wrong_usage"


def test_the_profile_of_a_leaf() -> None:
    leaf = certificate(Role.COLLECTOR, "centre", Usage.TLS)
    assert leaf.subject.rfc4514_string() == "CN=collector.centre"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["edged://harbour/collector/centre"]
    extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    signing = certificate(Role.COLLECTOR, "centre").extensions
    assert [use.dotted_string for use in signing.get_extension_for_class(x509.ExtendedKeyUsage).value] == [
        "1.3.6.1.5.5.7.3.36"
    ]


def test_the_forge_itself_makes_good_certificates() -> None:
    """Or every refusal below would prove nothing."""
    assert anchor().verify([forged()], usage=Usage.SIGNING, at=NOW) == BOX


OTHER_URI = x509.UniformResourceIdentifier("edged://harbour/collector/centre")
UNKNOWN_CRITICAL = (
    x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"),
    True,
)
CONSTRAINED = (x509.NameConstraints([x509.DNSName("example.org")], None), False)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"names": []}, "cert.malformed"),
        ({"names": [x509.UniformResourceIdentifier(BOX.uri), OTHER_URI]}, "cert.malformed"),
        ({"names": [x509.UniformResourceIdentifier(BOX.uri), x509.DNSName("box-1")]}, "cert.malformed"),
        ({"names": [x509.UniformResourceIdentifier("edged://harbour/king/box-1")]}, "cert.malformed"),
        ({"names": [x509.UniformResourceIdentifier("edged://harbour/device/Box")]}, "cert.malformed"),
        ({"names": [x509.UniformResourceIdentifier("https://example.org/")]}, "cert.malformed"),
        ({"names": [x509.UniformResourceIdentifier("edged://depot/device/box-1")]}, "cert.wrong_fleet"),
        ({"subject": common_name("audience.bank")}, "cert.malformed"),
        ({"subject": common_name()}, "cert.malformed"),
        ({"subject": common_name("box-1", "box-2")}, "cert.malformed"),
        ({"constraints": x509.BasicConstraints(ca=True, path_length=0)}, "cert.wrong_usage"),
        ({"constraints": None}, "cert.malformed"),
        ({"key_usage": None}, "cert.malformed"),
        ({"key_usage": key_usage("key_encipherment")}, "cert.wrong_usage"),
        ({"key_usage": key_usage("digital_signature", "key_cert_sign")}, "cert.wrong_usage"),
        ({"extended": None}, "cert.malformed"),
        ({"extended": x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])}, "cert.wrong_usage"),
        (
            {"extended": x509.ExtendedKeyUsage([DOCUMENT_SIGNING, ExtendedKeyUsageOID.CLIENT_AUTH])},
            "cert.wrong_usage",
        ),
        (
            {"extended": x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])},
            "cert.wrong_usage",
        ),
        ({"more": [UNKNOWN_CRITICAL]}, "cert.malformed"),
        ({"more": [CONSTRAINED]}, "cert.malformed"),
        ({"hash": hashes.SHA3_256()}, "cert.unknown_issuer"),
        ({"signing_key": generate_key()}, "cert.unknown_issuer"),
        (
            {"public_key": rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()},
            "cert.wrong_usage",
        ),
    ],
)
def test_a_leaf_outside_the_profile_is_refused(changes: dict[str, Any], code: str) -> None:
    assert refusal([forged(**changes)]) == code


def test_an_unknown_extension_that_is_not_critical_is_ignored() -> None:
    leaf = forged(more=[(UNKNOWN_CRITICAL[0], False)])
    assert anchor().verify([leaf], usage=Usage.SIGNING, at=NOW) == BOX


def test_validity_is_judged_at_the_given_moment_to_the_second() -> None:
    leaf = certificate()
    first, last = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    second = timedelta(seconds=1)
    for moment in (first, NOW, last):
        assert anchor().verify([leaf], usage=Usage.SIGNING, at=moment) == BOX
    assert refusal([leaf], at=first - second) == "cert.not_yet_valid"
    assert refusal([leaf], at=last + second) == "cert.expired"
    assert leaf.not_valid_before_utc < NOW  # a box whose clock runs behind can use it at once


def test_an_expired_authority_ends_everything_under_it() -> None:
    short = FleetAuthority.create("brief", demo=False, now=NOW, days=10)
    leaf = chain(
        short.issue(Principal("brief", Role.DEVICE, "b"), Usage.SIGNING, key().public_key(), now=NOW)
    )
    trusted = TrustAnchor.from_pem(short.certificate_pem)
    late = NOW + timedelta(days=11)
    assert refusal(leaf, at=late, against=trusted) == "cert.expired"


def renewed(short: FleetAuthority, days: int) -> x509.Certificate:
    """The same authority, name and key, until later."""
    old = x509.load_pem_x509_certificate(short.certificate_pem)
    builder = x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.subject)
    builder = builder.public_key(old.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=days))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(load_private(short.key_pem), hashes.SHA256())


def test_an_authority_that_is_renewed_with_its_key_holds_as_long_as_either() -> None:
    short = FleetAuthority.create("brief", demo=False, now=NOW, days=10)
    own = key()
    leaf = short.issue(Principal("brief", Role.DEVICE, "b"), Usage.SIGNING, own.public_key(), now=NOW)
    old, new = x509.load_pem_x509_certificate(short.certificate_pem), renewed(short, 300)
    late = NOW + timedelta(days=11)
    for roots in ([old, new], [new, old]):
        assert TrustAnchor(roots).verify(chain(leaf), usage=Usage.SIGNING, at=late).name == "b"
    message = sign.Signer(own, chain(leaf)).sign("test+jws", b"{}")
    for at, code in ((late, "cert.authority_expired"), (NOW + timedelta(days=400), "cert.authority_expired")):
        with pytest.raises(SignatureRefusedError) as caught:
            sign.verify(
                message,
                typ="test+jws",
                anchor=TrustAnchor([old]),
                role=Role.DEVICE,
                at=at,
                late=timedelta(days=90),
            )
        assert caught.value.code == code, "not the signer's fault, and it can be mended"
        assert code not in OUT_OF_TIME


def test_a_time_without_zone_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="timezone"):
        anchor().verify([certificate()], usage=Usage.SIGNING, at=datetime(2026, 11, 21))  # noqa: DTZ001
    with pytest.raises(ValueError, match="timezone"):
        FleetAuthority.create("f", demo=False, now=datetime(2026, 11, 21))  # noqa: DTZ001


def test_another_fleets_authority_means_nothing_here() -> None:
    other = FleetAuthority.create(FLEET, demo=False, now=NOW)  # even under the same name
    leaf = chain(other.issue(BOX, Usage.SIGNING, key().public_key(), now=NOW))
    assert refusal(leaf) == "cert.unknown_issuer"
    with pytest.raises(ValueError, match="own fleet"):
        authority("depot").issue(BOX, Usage.SIGNING, key().public_key(), now=NOW)


def test_a_self_signed_leaf_is_refused() -> None:
    own = generate_key()
    assert refusal([forged(public_key=own.public_key(), signing_key=own)]) == "cert.unknown_issuer"
    assert refusal(load_chain(authority().certificate_pem)[:1]) != ""  # the root itself is nobody


def test_a_server_certificate_is_no_principal() -> None:
    server = chain(authority().issue_server(["127.0.0.1", "::1", "broker"], key().public_key(), now=NOW))
    assert refusal(server, usage=Usage.TLS) == "cert.wrong_usage"
    names = server[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert names.get_values_for_type(x509.DNSName) == ["broker"]
    with pytest.raises(ValueError, match="host"):
        authority().issue_server([], key().public_key(), now=NOW)


class TestIntermediates:
    def under(self, above: FleetAuthority, label: str, **options: Any) -> FleetAuthority:
        own = generate_key()
        pem = above.issue_intermediate(label, own.public_key(), now=NOW, **options)
        return FleetAuthority.load(pem, private_pem(own))

    def leaf(self, issuer: FleetAuthority) -> bytes:
        return issuer.issue(BOX, Usage.SIGNING, key().public_key(), now=NOW)

    def test_two_may_stand_between(self) -> None:
        first = self.under(authority(), "region", path_length=1)
        second = self.under(first, "site")
        presented = chain(self.leaf(second), second.certificate_pem, first.certificate_pem)
        assert anchor().verify(presented, usage=Usage.SIGNING, at=NOW) == BOX

    def test_order_and_completeness_matter(self) -> None:
        first = self.under(authority(), "region", path_length=1)
        second = self.under(first, "site")
        leaf = self.leaf(second)
        assert refusal(chain(leaf)) == "cert.unknown_issuer"
        assert refusal(chain(leaf, second.certificate_pem)) == "cert.unknown_issuer"
        assert refusal(chain(leaf, first.certificate_pem, second.certificate_pem)) == "cert.unknown_issuer"
        assert refusal(chain(leaf, first.certificate_pem)) == "cert.unknown_issuer"

    def test_a_path_length_binds(self) -> None:
        first = self.under(authority(), "region", path_length=0)
        second = self.under(first, "site")
        presented = chain(self.leaf(second), second.certificate_pem, first.certificate_pem)
        assert refusal(presented) == "cert.wrong_usage"

    def test_more_than_two_are_refused_unread(self) -> None:
        link = certificate()
        assert refusal([link] * 4) == "cert.malformed"
        assert refusal([]) == "cert.malformed"

    def test_a_leaf_is_no_authority(self) -> None:
        """The classic: a device's own certificate used to issue another one."""
        leaf = forged(
            subject=common_name("box-2"),
            names=[x509.UniformResourceIdentifier("edged://harbour/device/box-2")],
            signing_key=key(),
        )
        device = forged(subject=load_chain(authority().certificate_pem)[0].subject)
        assert refusal([leaf, device]) == "cert.wrong_usage"

    def test_an_authority_limited_to_tls_issues_no_signers(self) -> None:
        own = generate_key()
        limited = forged(
            subject=common_name("limited"),
            public_key=own.public_key(),
            constraints=x509.BasicConstraints(ca=True, path_length=0),
            key_usage=key_usage("key_cert_sign"),
            extended=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
            names=[x509.UniformResourceIdentifier("edged://harbour")],
        )
        site = FleetAuthority.load(limited.public_bytes(serialization.Encoding.PEM), private_pem(own))
        signing = chain(self.leaf(site))
        assert refusal([*signing, limited]) == "cert.wrong_usage"
        tls = chain(site.issue(BOX, Usage.TLS, key().public_key(), now=NOW))
        assert anchor().verify([*tls, limited], usage=Usage.TLS, at=NOW) == BOX

    def intermediate(self, public_key: Any, fleet: str = FLEET) -> x509.Certificate:
        return forged(
            subject=common_name("site"),
            public_key=public_key,
            constraints=x509.BasicConstraints(ca=True, path_length=0),
            key_usage=key_usage("key_cert_sign"),
            extended=None,
            names=[x509.UniformResourceIdentifier(f"edged://{fleet}")],
        )

    def below(self, issuer: x509.Certificate, signing_key: Any) -> x509.Certificate:
        return forged(issuer=issuer.subject, signing_key=signing_key)

    def test_the_forge_makes_good_intermediates(self) -> None:
        own = generate_key()
        site = self.intermediate(own.public_key())
        assert anchor().verify([self.below(site, own), site], usage=Usage.SIGNING, at=NOW) == BOX

    def test_an_intermediate_of_another_fleet_issues_nothing_here(self) -> None:
        own = generate_key()
        site = self.intermediate(own.public_key(), "depot")
        assert refusal([self.below(site, own), site]) == "cert.wrong_fleet"

    def test_an_intermediate_with_another_kind_of_key_is_refused(self) -> None:
        own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        site = self.intermediate(own.public_key())
        assert refusal([self.below(site, own), site]) == "cert.malformed"


class TestDemo:
    def test_everything_of_a_demo_fleet_is_marked(self) -> None:
        assert anchor(demo=True).demo
        assert not anchor().demo
        for link in (*load_chain(authority(demo=True).certificate_pem), certificate(demo=True)):
            names = link.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert "edged-demo:harbour" in names.get_values_for_type(x509.UniformResourceIdentifier)

    def test_the_mark_outlives_an_unmarked_certificate_for_the_same_key(self) -> None:
        root_key = load_private(authority(demo=True).key_pem)
        marked = load_chain(authority(demo=True).certificate_pem)[0]
        washed = (
            x509.CertificateBuilder()
            .subject_name(marked.subject)
            .issuer_name(marked.subject)
            .public_key(root_key.public_key())
            .serial_number(1)
            .not_valid_before(marked.not_valid_before_utc)
            .not_valid_after(marked.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(ca=True, path_length=2), critical=True)
            .add_extension(key_usage("key_cert_sign"), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier("edged://harbour")]),
                critical=False,
            )
            .sign(root_key, hashes.SHA256())
        )
        against = TrustAnchor([washed])
        assert not against.demo
        assert refusal([certificate(demo=True)], against=against) == "cert.demo_mismatch"


class TestAnchor:
    def test_two_roots_while_one_replaces_the_other(self) -> None:
        successor = FleetAuthority.create(FLEET, demo=False, now=NOW)
        both = TrustAnchor.from_pem(authority().certificate_pem + successor.certificate_pem)
        for issuer in (authority(), successor):
            leaf = chain(issuer.issue(BOX, Usage.SIGNING, key().public_key(), now=NOW))
            assert both.verify(leaf, usage=Usage.SIGNING, at=NOW) == BOX

    def test_roots_of_two_fleets_are_no_anchor(self) -> None:
        pem = authority().certificate_pem + authority("depot").certificate_pem
        with pytest.raises(CertificateError) as caught:
            TrustAnchor.from_pem(pem)
        assert caught.value.code == "cert.wrong_fleet"

    def test_a_demo_root_beside_a_live_one_is_no_anchor(self) -> None:
        pem = authority().certificate_pem + authority(demo=True).certificate_pem
        with pytest.raises(CertificateError):
            TrustAnchor.from_pem(pem)

    @pytest.mark.parametrize(
        "pem", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    )
    def test_what_is_no_certificate_is_refused(self, pem: bytes) -> None:
        with pytest.raises(CertificateError) as caught:
            TrustAnchor.from_pem(pem)
        assert caught.value.code == "cert.malformed"

    def test_none_or_too_many_roots_are_no_anchor(self) -> None:
        root = load_chain(authority().certificate_pem)[0]
        for count in (0, MAX_ANCHORS + 1):
            with pytest.raises(CertificateError) as caught:
                TrustAnchor([root] * count)
            assert caught.value.code == "cert.malformed"
        assert TrustAnchor([root] * MAX_ANCHORS).fleet == FLEET

    def test_a_huge_file_is_not_parsed(self) -> None:
        pem = authority().certificate_pem
        assert len(load_chain(pem * 3)) == 3
        with pytest.raises(CertificateError) as caught:
            load_chain(pem + b"#" * MAX_PEM)
        assert caught.value.code == "cert.malformed"

    def test_a_leaf_is_no_root(self) -> None:
        with pytest.raises(CertificateError) as caught:
            TrustAnchor([certificate()])
        assert caught.value.code == "cert.malformed"

    def test_files(self, tmp_path: Path) -> None:
        path = tmp_path / "ca.pem"
        path.write_bytes(authority().certificate_pem)
        assert TrustAnchor.from_file(path).fleet == FLEET
        with pytest.raises(CertificateError) as caught:
            TrustAnchor.from_file(tmp_path / "absent.pem")
        assert caught.value.code == "cert.unreadable"


def test_an_authority_loads_with_its_own_key_alone() -> None:
    loaded = FleetAuthority.load(authority().certificate_pem, authority().key_pem)
    assert (loaded.fleet, loaded.demo) == (FLEET, False)
    names = [x509.UniformResourceIdentifier("edged://Harbour")]
    nameless = forged(names=names).public_bytes(serialization.Encoding.PEM)
    for certificate_pem, key_pem, code in (
        (authority().certificate_pem, authority("depot").key_pem, "cert.key_mismatch"),
        (b"nonsense", authority().key_pem, "cert.malformed"),
        (authority().certificate_pem, b"nonsense", "key.malformed"),
        (certificate().public_bytes(serialization.Encoding.PEM), private_pem(key()), "cert.malformed"),
        (nameless, private_pem(key()), "cert.malformed"),
    ):
        with pytest.raises(CertificateError) as caught:
            FleetAuthority.load(certificate_pem, key_pem)
        assert caught.value.code == code


@pytest.mark.parametrize("name", ["", "Harbour", "a/b", "a.b", "x" * 64])
def test_fleets_and_authorities_have_good_names(name: str) -> None:
    with pytest.raises(ValueError, match="names are"):
        FleetAuthority.create(name, demo=False, now=NOW)
    with pytest.raises(ValueError, match="names are"):
        authority().issue_intermediate(name, key().public_key(), now=NOW)


def test_openssl_agrees(tmp_path: Path) -> None:
    """An independent verifier: the chain, and that a signing key opens no TLS connection."""
    ca, leaf = tmp_path / "ca.pem", tmp_path / "leaf.pem"
    ca.write_bytes(authority().certificate_pem)

    def verify(pem: bytes, purpose: str) -> int:
        leaf.write_bytes(pem)
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(ca)]
        command += ["-attime", str(int(NOW.timestamp())), str(leaf)]
        return subprocess.run(command, capture_output=True, timeout=60).returncode

    tls = authority().issue(BOX, Usage.TLS, key().public_key(), now=NOW)
    signing = authority().issue(BOX, Usage.SIGNING, key().public_key(), now=NOW)
    server = authority().issue_server(["localhost"], key().public_key(), now=NOW)
    assert verify(tls, "sslclient") == 0
    assert verify(signing, "any") == 0
    assert verify(server, "sslserver") == 0
    assert verify(signing, "sslclient") != 0
    assert verify(server, "sslclient") != 0
    assert verify(tls, "sslserver") != 0


def test_certificates_of_other_curves_cannot_sign_messages() -> None:
    """P-384 leaves pass the chain; ES256 then refuses them (see test_sign_jws)."""
    leaf = forged(public_key=ec.generate_private_key(ec.SECP384R1()).public_key())
    assert anchor().verify([leaf], usage=Usage.SIGNING, at=NOW) == BOX
