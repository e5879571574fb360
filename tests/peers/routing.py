"""The peers of the checks. Each test starts StayRTR, rtrlib's validator and rbldnsd as it needs them. One IRRd with route objects
serves all tests, because it starts slowly."""

import os
import signal
import socket
import subprocess
import time

from .place import Locked, Missing, debian, free_port, run, venv

VERSION = "4.5.4"

# The ROAs for IRRd's RPKI filter.
ROAS = """{"roas": [{"asn": "AS64500", "prefix": "198.51.100.0/24", "maxLength": 24, "ta": "test"}]}"""

OBJECTS = {
    "EXACT": """
route: 203.0.113.0/24
descr: exactly what is asked for
origin: AS64500
mnt-by: TEST-MNT
source: EXACT

route: 192.0.2.0/24
descr: another origin than is asked for
origin: AS64501
mnt-by: TEST-MNT
source: EXACT

route: 203.0.112.0/22
descr: around 203.0.114.0/24
origin: AS64500
mnt-by: TEST-MNT
source: EXACT

route6: 2001:db8::/32
origin: AS64500
mnt-by: TEST-MNT
source: EXACT
""",
    # Its ROA names AS64500: the filter hides this one.
    "OTHER": """
route: 198.51.100.0/24
descr: invalid by the RPKI
origin: AS64501
mnt-by: TEST-MNT
source: OTHER
""",
}

CONFIGURATION = """
irrd:
  database_url: 'postgresql://postgres@127.0.0.1:{postgres}/irrd'
  redis_url: 'redis://127.0.0.1:{redis}/5'
  piddir: {directory}
  email: {{from: nobody@example.net, smtp: localhost}}
  auth: {{gnupg_keyring: {directory}/keyring}}
  log: {{logfile_path: {directory}/irrd.log, level: INFO}}
  rpki: {{roa_source: 'file://{directory}/roas.json', roa_import_timer: 3600}}
  server:
    http: {{interface: 127.0.0.1, port: {http}, workers: 1, url: 'http://127.0.0.1:{http}/'}}
    whois: {{interface: 127.0.0.1, port: {whois}, max_connections: 8}}
  sources_default: [EXACT, OTHER]
  sources:
    EXACT: {{keep_journal: false}}
    OTHER: {{keep_journal: false}}
"""


def programs():
    """The paths of the programs that tests start themselves."""
    return {
        "LEASEHOLD_TEST_STAYRTR": debian("stayrtr", "stayrtr"),
        "LEASEHOLD_TEST_RPKI_ROV": debian("rpki-rov", "rtr-tools"),
        "LEASEHOLD_TEST_RBLDNSD": debian("rbldnsd", "rbldnsd"),
    }


class Irrd:
    def __init__(self, directory, postgres, redis):
        with Locked():
            self.venv = venv("irrd", f"irrd=={VERSION}")
        # Its PID file's path must be short, and it runs as whoever it is started by.
        self.directory = directory / "irrd"
        (self.directory / "keyring").mkdir(parents=True, mode=0o700)
        self.port = free_port()
        (self.directory / "roas.json").write_text(ROAS)
        self.file = self.directory / "irrd.yaml"
        self.file.write_text(CONFIGURATION.format(postgres=postgres.port, redis=redis.port, directory=self.directory,
                                                  http=free_port(), whois=self.port))
        # As root it wants to be told that it is meant; CI is its own word for that.
        self.env = {**os.environ, "CI": "1"}
        postgres.sql("CREATE DATABASE irrd")
        postgres.sql("CREATE EXTENSION IF NOT EXISTS pgcrypto", database="irrd")
        log = self.directory / "load.log"
        run([self.venv / "bin/irrd_database_upgrade", "--config", self.file], env=self.env, log=log)
        for source, text in OBJECTS.items():
            rpsl = self.directory / f"{source}.rpsl"
            rpsl.write_text(text)
            run([self.venv / "bin/irrd_load_database", "--config", self.file, "--source", source, rpsl],
                env=self.env, log=log)
        with open(self.directory / "out.log", "wb") as out:
            self.process = subprocess.Popen([self.venv / "bin/irrd", "--config", self.file, "--foreground"],
                                            env=self.env, stdout=out, stderr=out, start_new_session=True)
        until = time.monotonic() + 180
        while time.monotonic() < until and self.process.poll() is None:
            # It answers before it has read the ROAs. It is ready once it hides the object that is invalid by a ROA.
            if self.ask("!r203.0.113.0/24,o") == "A8" and self.ask("!r198.51.100.0/24,o") == "D":
                return
            time.sleep(0.5)
        raise Missing(f"IRRd did not start; see {self.directory}")

    def ask(self, query):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(f"{query}\n".encode())
                return connection.makefile().readline().strip()
        except OSError:
            return ""

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
