"""HTTPS to a NetBox with a certificate authority of one's own, and a NetBox that is too old."""

import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading

BINARY = os.environ["LEASEHOLD_TEST_BINARY"]
failures = 0


def check(name, held, seen):
    global failures
    failures += not held
    print(f"ok {name}" if held else f"not ok {name}: {seen!r}", flush=True)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Old(http.server.BaseHTTPRequestHandler):
    """A server that answers as a NetBox too old for Leasehold."""

    def do_GET(self):
        body = json.dumps({"netbox-version": "4.1.9"}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


with tempfile.TemporaryDirectory() as name:
    place = pathlib.Path(name)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", place / "ca.key", "-out", place / "ca.pem",
            "-days", "2", "-subj", "/CN=Test CA")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", place / "key", "-out", place / "csr", "-subj",
            "/CN=localhost")
    (place / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("x509", "-req", "-in", place / "csr", "-CA", place / "ca.pem", "-CAkey", place / "ca.key",
            "-CAcreateserial", "-out", place / "pem", "-days", "2", "-extfile", place / "names")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Old)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "pem", place / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def setup(**more):
        env = {"PATH": os.environ["PATH"], "HOME": name, "LEASEHOLD_NETBOX__TOKEN": "x" * 40,
               "LEASEHOLD_NETBOX__URL": f"https://127.0.0.1:{server.server_port}", **more}
        return subprocess.run([BINARY, "setup"], env=env, capture_output=True, text=True, timeout=60)

    done = setup()
    check("an unknown authority is refused", done.returncode == 1 and "not signed by a trusted authority" in done.stderr, done.stderr)
    done = setup(LEASEHOLD_NETBOX__CA_FILE=str(place / "ca.pem"))
    check("with its CA file the server is trusted, and its version is refused as too old",
          done.returncode == 1 and "NetBox 4.1.9 is not supported: Leasehold needs 4.2 to 4.7" in done.stderr, done.stderr)
    done = setup(LEASEHOLD_NETBOX__CA_FILE=str(place / "key"))
    check("a file without certificates is refused", "contains no PEM certificate" in done.stderr, done.stderr)
    done = setup(LEASEHOLD_NETBOX__CA_FILE=str(place / "nothing"))
    check("a missing file is reported", "netbox.ca_file" in done.stderr and "No such file" in done.stderr, done.stderr)
sys.exit(1 if failures else 0)
