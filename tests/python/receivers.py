"""Receivers that centime's authors did not write the protocols of: SMTP with aiosmtpd, a webhook whose
signature is checked with Python's own hmac and whose body is held against the documented schema.

    python tests/python/receivers.py smtp --folder F [--tls]
    python tests/python/receivers.py webhook --folder F --secret S --schema docs/webhook.schema.json
    python tests/python/receivers.py slack-signature < vectors.json

The first two print their port and then run until they are killed; what arrives is a line of JSON in
`F/received`. With --tls the certificate is `F/ca.pem`. The last checks vectors with slack_sdk and prints
its own.
"""

import argparse
import asyncio
import datetime
import email
import email.policy
import hashlib
import hmac
import http.server
import ipaddress
import json
import ssl
import sys
import time
from pathlib import Path


def keep(folder, value):
    with open(Path(folder) / "received", "a", encoding="utf-8") as file:
        file.write(json.dumps(value) + "\n")


def certificate(folder):
    """A certificate of 127.0.0.1, signed by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    ca, private = Path(folder) / "ca.pem", Path(folder) / "key.pem"
    ca.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ca, private)
    return context


class Mailbox:
    def __init__(self, folder):
        self.folder = folder

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        keep(
            self.folder,
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "subject": mail["subject"],
                "id": mail["message-id"],
                "in_reply_to": mail["in-reply-to"],
                "date": mail["date"],
                "text": body.get("text/plain"),
                "html": body.get("text/html"),
                "encrypted": session.ssl is not None,
            },
        )
        return "250 kept"


def smtp(arguments):
    from aiosmtpd.smtp import SMTP

    context = certificate(arguments.folder) if arguments.tls else None

    async def serve():
        def session():
            return SMTP(Mailbox(arguments.folder), tls_context=context, require_starttls=arguments.tls)

        server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", arguments.port)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(serve())


def webhook(arguments):
    import jsonschema

    schema = json.loads(Path(arguments.schema).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            stamp = self.headers["x-centime-timestamp"] or ""
            expected = hmac.new(
                arguments.secret.encode(), stamp.encode() + b"." + body, hashlib.sha256
            ).hexdigest()
            given = self.headers["x-centime-signature"] or ""
            value = json.loads(body)
            keep(
                arguments.folder,
                {
                    "signed": hmac.compare_digest("v1=" + expected, given),
                    "fresh": abs(time.time() - int(stamp or 0)) < 300,
                    "delivery": self.headers["x-centime-delivery"],
                    "event": self.headers["x-centime-event"],
                    "problems": [error.message for error in validator.iter_errors(value)],
                    "body": value,
                },
            )
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Receiver)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def slack_signature(_):
    from slack_sdk.signature import Clock, SignatureVerifier

    class Fixed(Clock):
        def __init__(self, now):
            self.fixed = now

        def now(self):
            return float(self.fixed)

    answers = []
    for vector in json.load(sys.stdin):
        verifier = SignatureVerifier(vector["secret"], Fixed(vector["now"]))
        answers.append(
            {
                "valid": verifier.is_valid(vector["body"], vector["timestamp"], vector["signature"]),
                "signature": verifier.generate_signature(timestamp=vector["timestamp"], body=vector["body"]),
            }
        )
    print(json.dumps(answers))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for name, run in (("smtp", smtp), ("webhook", webhook), ("slack-signature", slack_signature)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--folder")
        command.add_argument("--port", type=int, default=0)
        command.add_argument("--tls", action="store_true")
        command.add_argument("--secret", default="")
        command.add_argument("--schema")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
