"""``cutting_proxy HOST PORT SECONDS``: a TCP proxy on a free port, said on standard output, that cuts every
connection when it is so old."""

import asyncio
import contextlib
import sys


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def main(host: str, port: int, oldest_s: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection(host, port)
        ways = [asyncio.create_task(_pass(reader, onward)), asyncio.create_task(_pass(there, writer))]
        await asyncio.wait(ways, timeout=oldest_s, return_when=asyncio.ALL_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, onward):
            end.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
