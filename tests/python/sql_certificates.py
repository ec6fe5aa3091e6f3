"""Certificates for tests: an authority, the server, two clients of it, and one of a stranger's.

usage: sql_certificates.py FOLDER
"""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

folder = pathlib.Path(sys.argv[1])
now = datetime.datetime.now(datetime.timezone.utc)


def named(name):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def authority(name):
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def write(name, text, mode):
    path = folder / name
    path.write_bytes(text)
    path.chmod(mode)


def issue(signer, file, name):
    signing_key, signing = signer
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(signing.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            ),
            critical=False,
        )
        .sign(signing_key, hashes.SHA256())
    )
    write(f"{file}.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # psql refuses a key that others can read.
    write(f"{file}-key.pem", private, 0o600)


ours, theirs = authority("an authority"), authority("a stranger")
write("authority.pem", ours[1].public_bytes(serialization.Encoding.PEM), 0o644)
issue(ours, "server", "centime")
issue(ours, "batch", "batch")
issue(ours, "other", "other")
issue(theirs, "stranger", "batch")
