"""A learner's kernel: a real one, as JupyterLab starts it."""

import os
import queue
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from jupyter_client.manager import KernelManager

from workshop.files import FOLDER

_START, _CELL = 120.0, 120.0  # seconds that a start and a cell may take before it counts as a failure


class KernelDied(Exception):
    """The kernel ended before the cell did."""


@dataclass(frozen=True)
class Output:
    """What a cell showed, and how long the learner waited for it."""

    text: str
    error: str
    seconds: float


class Kernel:
    """A kernel in a learner's copy of the kit."""

    def __init__(self, checkout: Path):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
        environment |= {"PYTHONPATH": str(checkout), "IPYTHONDIR": str(checkout / ".ipython"), FOLDER: str(checkout)}
        environment.pop("MY_EVENTSTORE", None)
        self._manager = KernelManager(kernel_name="python3")
        with open(os.devnull, "w") as nowhere:
            self._manager.start_kernel(cwd=str(checkout / "notebooks"), env=environment, stdout=nowhere, stderr=nowhere)
        self.process = psutil.Process(self._manager.provisioner.pid)  # type: ignore[union-attr]
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=_START)

    def run(self, cell: str) -> Output:
        """Run a cell, and wait until it has ended.

        Raises:
            KernelDied: the kernel was killed meanwhile.
        """
        begin = time.perf_counter()
        request = self._client.execute(cell)
        shown, error = [], ""
        while time.perf_counter() - begin < _CELL:
            try:
                message = self._client.get_iopub_msg(timeout=0.5)
            except queue.Empty:
                if not self._manager.is_alive():
                    raise KernelDied from None
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown.append(content["text"])
            elif kind in ("display_data", "execute_result"):
                shown.append(content["data"].get("text/plain", ""))
            elif kind == "error":
                error = f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                return Output("\n".join(shown), error, time.perf_counter() - begin)
        raise TimeoutError(f"a cell ran for {_CELL:.0f} s: {cell[-60:]}")

    def cpu(self) -> float:
        """Return how many seconds of a processor the kernel has used."""
        try:
            times = self.process.cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return times.user + times.system

    def kill(self) -> None:
        """End the kernel at once, as a laptop does that runs out of memory: SIGKILL."""
        os.kill(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the kernel, dead or alive."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
