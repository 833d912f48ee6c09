"""Forwards each connection to an inherited listening socket.

``python -m vbench.linux.port_forward FD HOST PORT``, for studies and tests. The socket belongs to the network
in which it was made, the address that connections are passed on to belongs to that of this process.
"""

import asyncio
import contextlib
import socket
import sys


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy data until it ends or the other side has closed."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def main(listening: socket.socket, host: str, port: int) -> None:
    """Serve until the process is ended."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Nothing else refers to a connection whose client has sent everything: the loop no longer reads from
        # it, and a
        # stream's protocol refers to its reader weakly.
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        serving.add(task)
        task.add_done_callback(serving.discard)
        with contextlib.closing(writer):
            there, onward = await asyncio.open_connection(host, port)
            with contextlib.closing(onward):
                await asyncio.gather(pass_on(reader, onward), pass_on(there, writer))

    async with await asyncio.start_server(serve, sock=listening) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], int(sys.argv[3])))
