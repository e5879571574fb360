"""A Redis of its own; NetBox needs one."""

import subprocess

from .place import debian, free_port


class Redis:
    def __init__(self, directory):
        server = debian("redis-server", "redis-server")
        self.port = free_port()
        with open(directory / "redis.log", "wb") as log:
            self.process = subprocess.Popen(
                [server, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)],
                stdout=log, stderr=log, start_new_session=True)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
