"""A PostgreSQL cluster of its own: thrown away afterwards, never the system's."""

import os
import pathlib
import pwd
import shutil
import subprocess

from .place import Missing, debian, free_port, run


class Postgres:
    def __init__(self, directory):
        debian("pg_lsclusters", "postgresql")
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
        if not found and shutil.which("initdb"):
            found = [pathlib.Path(shutil.which("initdb"))]
        if not found:
            raise Missing("PostgreSQL's server is missing; install the package postgresql")
        self.bin = found[-1].parent
        self.directory = directory / "postgres"
        self.port = free_port()
        self.directory.mkdir()
        # PostgreSQL refuses to run as root.
        self.user = None
        if os.geteuid() == 0:
            self.user = "postgres"
            owner = pwd.getpwnam(self.user)
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
        self._as_owner(self.bin / "initdb", "-D", self.directory / "data", "-A", "trust", "-U", "postgres", "-E", "UTF8")
        options = f"-p {self.port} -k {self.directory} -c listen_addresses=127.0.0.1 -c fsync=off " \
                  "-c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
        self._as_owner(self.bin / "pg_ctl", "-D", self.directory / "data", "-w", "-o", options,
                       "-l", self.directory / "log", "start")

    @property
    def major(self):
        return subprocess.run([self.bin / "postgres", "--version"], capture_output=True, text=True,
                              check=True).stdout.split()[2].split(".")[0]

    def _as_owner(self, *command):
        options = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        run(command, cwd="/", **options)

    def sql(self, statement, database="postgres"):
        run(["psql", "-q", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-v", "ON_ERROR_STOP=1",
             "-c", statement, database])

    def dump(self, database, file):
        partial = file.with_suffix(".partial")
        run([self.bin / "pg_dump", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-Fc", "-f", partial, database])
        partial.rename(file)

    def restore(self, database, file):
        run([self.bin / "pg_restore", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "--no-owner",
             "-d", database, file])

    def stop(self):
        self._as_owner(self.bin / "pg_ctl", "-D", self.directory / "data", "-m", "immediate", "stop")
