"""A learner's function as the checks call it: it does not sleep, and an endless one is ended."""

import ctypes
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from types import CodeType
from typing import Any

LIMIT = 5.0  # seconds: one call of an answer takes a few milliseconds


class Endless(BaseException):
    """An answer did not end by itself. No `except Exception` of the answer's catches this.

    A bare `except:` does, and a loop around it goes on. So it is raised once more at the next line of each function
    that is under way, outside the `try` by then.
    """

    raised = 0  # how often

    def __init__(self) -> None:
        super().__init__(f"had not ended after {LIMIT:.0f} seconds, and was stopped")
        Endless.raised += 1
        frame = sys._getframe(1)
        while frame.f_back and frame.f_code is not Guard.__call__.__code__:
            frame.f_trace = _raise_again
            frame = frame.f_back
        sys.settrace(lambda *_: None)  # without one, no frame is traced


def _raise_again(*_: object) -> None:
    raise Endless


class Guard:
    """A learner's function, to be called as it is. Close it in the end.

    Args:
        answer: the function, or whatever else can be called.

    Attributes:
        answer: the same.
        cell: the variables of the cell, or module, that it stands in.
        is_quiet: whether what it prints is swallowed.
    """

    def __init__(self, answer: Callable):
        self.answer = answer
        self.cell: dict[str, Any] = getattr(plain(answer), "__globals__", {})
        self.is_quiet = False
        self._naps = [name for name, value in self.cell.items() if value is time.sleep]
        self._clock = _Clock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._clock.limit(), self._without_naps():
            if not self.is_quiet:
                return self.answer(*args, **kwargs)
            with redirect_stdout(StringIO()):
                return self.answer(*args, **kwargs)

    def close(self) -> None:
        self._clock.stop()

    @contextmanager
    def _without_naps(self) -> Iterator[None]:
        """Let time.sleep return at once, in this thread: who waits before a second attempt would wait at each call."""
        sleep, me = time.sleep, threading.get_ident()

        def nap(seconds: float, /) -> None:
            if threading.get_ident() != me:
                sleep(seconds)

        self.cell.update(dict.fromkeys(self._naps, nap))
        time.sleep = nap  # type: ignore[assignment]
        try:
            yield
        finally:
            time.sleep = sleep
            self.cell.update(dict.fromkeys(self._naps, sleep))


@contextmanager
def quiet(function: Callable) -> Iterator[None]:
    """Swallow what a guarded function prints: what is called seventy times would print as often."""
    if isinstance(function, Guard):
        function.is_quiet = True
    try:
        yield
    finally:
        if isinstance(function, Guard):
            function.is_quiet = False


def plain(answer: Any) -> Any:
    """Return the function inside what can be called: of a partial, a decorated function, a method, an object."""
    while True:
        if isinstance(answer, partial):
            answer = answer.func
        elif inspect.ismethod(answer):
            answer = answer.__func__
        elif (inner := getattr(answer, "__wrapped__", None)) is not None:
            answer = inner
        elif inspect.isfunction(answer) or inspect.isbuiltin(answer) or isinstance(answer, type):
            return answer
        else:
            call = vars(type(answer)).get("__call__")
            return call if inspect.isfunction(call) else answer


def line_of(error: BaseException, answer: Any) -> list[str]:
    """Return the line of the learner's function in which an error was raised, none where it was elsewhere."""
    file = _file_of(answer)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == file:
            return [f"line {frame.lineno} of the cell: {frame.line}"]
    return []


def came_of_the_call(error: BaseException) -> bool:
    """Whether an error was raised while an answer was called, and not by what looks at its result."""
    return any(frame.f_code is Guard.__call__.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def raised_by(error: BaseException) -> CodeType:
    """Return the code of the very function that raised an error."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code


def is_own(error: BaseException, answer: Any) -> bool:
    """Whether an error was raised by the learner's own lines, and by no function that they call."""
    return raised_by(error).co_filename == _file_of(answer)


def _file_of(answer: Any) -> str | None:
    code = getattr(plain(answer.answer if isinstance(answer, Guard) else answer), "__code__", None)
    return code.co_filename if code else None


class _Clock:
    """Ends a call that takes too long, from a thread that watches; also one that neither sends nor calls anything.

    An exception can be raised in another thread on every system, in a notebook's kernel as in a test. Signals reach the
    main thread alone, and on Windows not even that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._watcher: threading.Thread | None = None
        self._thread = 0
        self._deadline: float | None = None  # of the call that is under way in this thread
        self._due = 0  # how often Endless was raised once what the watcher sent has arrived

    @contextmanager
    def limit(self) -> Iterator[None]:
        before = sys.gettrace(), self._thread, self._deadline  # a call within a call
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        self._thread, self._deadline = threading.get_ident(), time.monotonic() + LIMIT
        try:
            yield
        finally:
            self._end(*before)

    def stop(self) -> None:
        self._stopped.set()

    def _end(self, trace: Any, thread: int, deadline: float | None) -> None:
        try:
            with self._lock:
                self._thread, self._deadline = thread, deadline
            while Endless.raised < self._due:  # it was sent just now, and must not arrive later
                pass
        except Endless:
            self._thread, self._deadline = thread, deadline
        sys.settrace(trace)

    def _watch(self) -> None:
        while not self._stopped.wait(0.05):
            with self._lock:
                if self._deadline is not None and time.monotonic() > self._deadline:
                    self._deadline, self._due = None, Endless.raised + 1
                    target = ctypes.c_ulong(self._thread)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(Endless))
