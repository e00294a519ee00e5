"""The least that can answer over loopback: the same bytes to whatever comes. What it cannot do, the machine cannot.

``PORT`` is where it listens.
"""

from __future__ import annotations

import asyncio
import gc
import os

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 119\r\n\r\n" + b"x" * 119


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = transport.write  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._write(_ANSWER)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    gc.freeze()
    uvloop.run(main())
