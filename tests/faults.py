"""A server that answers as its script says, request by request: what a mock of an API cannot do."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
"""SO_LINGER of no time: closing sends a reset."""


class FaultServer(ThreadingHTTPServer):
    """Plays `script`; `received` are the bodies that were read to their end, `headers` theirs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[str | tuple[int, dict[str, str]]] = []
        self.received: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.released = threading.Event()
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address) -> None:
        """A caller who hangs up, or does not trust us, is part of the script."""


class Handler(BaseHTTPRequestHandler):
    server: FaultServer

    def do_POST(self) -> None:
        step = self.server.script.pop(0)
        if step == "reset before the body is read":
            self.reset()
            return
        self.server.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.headers.append(dict(self.headers))
        if isinstance(step, tuple):
            self.answer(*step)
        elif step == "reset after the body is read":
            self.reset()
        elif step == "hang up after the body is read":
            self.close_connection = True
        elif step == "no answer after the body is read":
            self.wait()
        elif step == "a body that comes too slowly":
            self.send_response(202)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"{")
            self.wait()
        elif step == "no HTTP":
            self.wfile.write(b"hello\r\n\r\n")
            self.close_connection = True
        else:
            raise ValueError(step)

    def wait(self) -> None:
        self.server.released.wait(5)
        self.close_connection = True

    def reset(self) -> None:
        self.connection.setsockopt(SOL_SOCKET, SO_LINGER, RESET)
        self.close_connection = True
        self.connection.close()

    def answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments) -> None:
        """Say nothing."""


@contextmanager
def faults(certificate: Path | None = None) -> Iterator[FaultServer]:
    """Serve while the block runs, by TLS where there is a certificate."""
    with FaultServer() as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            server.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def self_signed(file: Path) -> Path:
    """Write a certificate for loopback, with its key, that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, plain[1], plain[0])
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
