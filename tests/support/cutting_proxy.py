"""``cutting_proxy HOST PORT OLDEST_S OUT_S``: a TCP proxy on a free port, which it says on standard output.

It cuts every connection that is so old, and after the first refuses all for so long.
"""

import asyncio
import sys

from vbench.linux.port_forward import copy_stream


async def main(host: str, port: int, oldest_s: float, out_s: float) -> None:
    cut = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection(host, port)
        ways = [
            asyncio.create_task(copy_stream(reader, onward)),
            asyncio.create_task(copy_stream(there, writer)),
        ]
        _, open_yet = await asyncio.wait(ways, timeout=oldest_s)
        for way in open_yet:
            way.cancel()
            cut.set()
        for end in (writer, onward):
            end.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    here = server.sockets[0].getsockname()[1]
    print(here, flush=True)
    await cut.wait()
    server.close()
    await asyncio.sleep(out_s)
    server = await asyncio.start_server(serve, "127.0.0.1", here)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
