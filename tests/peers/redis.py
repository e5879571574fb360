"""A Redis of its own; NetBox needs one."""

import socket
import subprocess
import time

from .place import Missing, debian, free_port


class Redis:
    def __init__(self, directory):
        server = debian("redis-server", "redis-server")
        self.port = free_port()
        with open(directory / "redis.log", "wb") as log:
            self.process = subprocess.Popen(
                [server, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)],
                stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise Missing(f"Redis did not start; see {directory / 'redis.log'}")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
