"""Closed-loop load with wrk (Debian's package): each connection asks again as soon as it was answered."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from _measure.peers import Peer
from _measure.sockets import closed_loop

#: All requests are written out before the first is sent; ``done`` prints one JSON object.
_SCRIPT = """
local requests, turn = {}, 0
function init(args)
  wrk.headers["content-type"] = "application/json"
  %(headers)s
  for body in io.lines("%(bodies)s") do requests[#requests + 1] = wrk.format("POST", "%(path)s", nil, body) end
end
function request()
  turn = turn %% #requests + 1
  return requests[turn]
end
function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %%d, "us": %%d, "bad": %%d, "p50_us": %%d, "p99_us": %%d}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


def client_name() -> str:
    return (
        "wrk" if shutil.which("wrk") else "python (wrk is not installed: figures of fast servers are too low)"
    )


def requests_per_second(peer: Peer, rows: int, seconds: int, connections: int) -> float:
    """Load `peer` alone; return its answers per second. Any other answer than 200 ends the benchmark."""
    if not shutil.which("wrk"):
        counted = closed_loop(peer.port, peer.raw_requests(rows), seconds, connections)
        if counted.failed:
            raise SystemExit(f"{peer.name}: {counted.failed} requests failed")
        return counted.answered / counted.seconds
    with tempfile.TemporaryDirectory() as scratch:
        bodies, script = Path(scratch, "bodies"), Path(scratch, "post.lua")
        bodies.write_bytes(b"\n".join(peer.requests[rows]))
        headers = "\n  ".join(f'wrk.headers["{key}"] = "{value}"' for key, value in peer.headers.items())
        script.write_text(_SCRIPT % {"headers": headers, "bodies": bodies, "path": peer.path})
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "20", "-s", str(script),
             f"http://127.0.0.1:{peer.port}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if found["bad"] or not found["requests"]:
        raise SystemExit(f"{peer.name}: {done.stdout}")
    return found["requests"] / found["us"] * 1e6
