"""A network between a client and its PostgreSQL server that loses an answer, or goes dead, when it is told to."""

import socket
import threading
from contextlib import suppress
from typing import Any


class UnreliableNetwork:
    """Forwards connections to the server that `info` is connected to, and can break one before an answer arrives.

    The server sends its answer to a statement on an autocommit connection after the commit, so with the answer
    lost the statement has been done, and the client cannot know.
    """

    host = "127.0.0.1"

    def __init__(self, info: Any) -> None:
        self._target = (info.host, info.port)
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._lose = threading.Event()
        self._servers: list[socket.socket] = []
        self._silent: list[socket.socket] = []
        self.lost = False
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_the_next_answer(self) -> None:
        """From now on, the next thing that the server says is lost, and the connection with it."""
        self._lose.set()

    def go_silent(self) -> None:
        """From now on nothing goes through the connections that there are, and clients are not told; new ones work."""
        self._silent += self._servers
        for server in self._servers:
            _close(server)

    def __enter__(self) -> "UnreliableNetwork":
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            _close(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            server = self._connect()
            self._sockets += [client, server]
            self._servers.append(server)
            for forward in (self._forward_questions, self._forward_answers):
                threading.Thread(target=forward, args=(client, server), daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = self._target
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _forward_questions(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)

    def _forward_answers(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if self._lose.is_set():
                    self.lost = True
                    break
                client.sendall(data)
        if server not in self._silent:
            _close(client)
            _close(server)


def _close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)  # wakes up whoever waits for it in a thread
    each.close()
