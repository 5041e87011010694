"""Signs of life of a call while it loads what may take minutes, during which nothing else could tell of it."""

import threading
from collections.abc import Callable

_EVERY_S = 1.0


class Heartbeat:
    """Progress frames from here on, until :meth:`stop`; for ``most_s`` seconds at most, as a load may hang."""

    def __init__(self, progress: Callable[[str, int, int | None], None], phase: str, most_s: float):
        self._over = threading.Event()
        threading.Thread(target=self._beat, args=(progress, phase, most_s), name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _beat(self, progress: Callable[[str, int, int | None], None], phase: str, most_s: float) -> None:
        for beat in range(int(most_s / _EVERY_S)):
            if self._over.wait(_EVERY_S):
                return
            progress(phase, beat, None)
