"""``python -m vbench.linux.port_forward FD HOST PORT``: forwards the connections to an inherited socket.

The socket belongs to the network namespace in which it was made, the connections onward to this process's.
"""

import asyncio
import contextlib
import socket
import sys

COMMAND = (sys.executable, "-m", "vbench.linux.port_forward")
"""Followed by the descriptor of the listening socket, and the host and port to connect to."""


async def copy_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until the reader ends or the writer's peer is gone."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def main(listening: socket.socket, host: str, port: int) -> None:
    """Forward connections until the process is ended."""
    tasks: set[asyncio.Task[None]] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Nothing else refers to a connection whose client has closed its sending side: the loop no longer
        # reads from it, and a stream's protocol holds its reader only weakly.
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        with contextlib.closing(writer):
            onward_reader, onward_writer = await asyncio.open_connection(host, port)
            with contextlib.closing(onward_writer):
                await asyncio.gather(copy_stream(reader, onward_writer), copy_stream(onward_reader, writer))

    async with await asyncio.start_server(forward, sock=listening) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], int(sys.argv[3])))
