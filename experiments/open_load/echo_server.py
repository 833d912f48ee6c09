"""``python echo_server.py``: an HTTP server on a free port of loopback, which it prints; ends with standard
input.

It answers each request with its body. ``for_s`` in the query: after so many seconds. ``stall_at`` and
``stall_s``: with the request of that number it stands still for so long, and serves nobody. ``status``: the
status. ``close_at``: the request of that number gets no response.
"""

import asyncio
import itertools
import sys
import time

from aiohttp import web

numbers = itertools.count(1)


async def echo(request: web.Request) -> web.Response:
    """The response to any request."""
    number, query = next(numbers), request.query
    if number == int(query.get("stall_at", 0)):
        time.sleep(float(query["stall_s"]))
    await asyncio.sleep(float(query.get("for_s", 0)))
    if number == int(query.get("close_at", 0)) and request.transport is not None:
        request.transport.close()
    return web.Response(body=await request.read(), status=int(query.get("status", 200)))


async def main() -> None:
    """Serve until standard input ends."""
    app = web.Application()
    app.router.add_route("*", "/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
