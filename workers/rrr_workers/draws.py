"""Drawing answers to a query until it has failed: what ``rrr build-failures`` does with every query."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from rrr_workers.engines.base import Unanswerable
from rrr_workers.episode import Attempt
from rrr_workers.hashing import derive_seed


def draw_seed(run_seed: int, query_id: str, number: int) -> int:
    """The seed of a query's draw. It depends on nothing else, so any worker makes the same draw."""
    return derive_seed(run_seed, query_id, "mine", number)  # "mine" is in the seeds of earlier runs


@dataclass(slots=True)
class Drawn:
    """``draws`` count strictly in their order; ``wasted`` were made ahead of need and thrown away."""

    draws: int = 0
    wasted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    #: How the draws ended, "passed" included.
    kinds: Counter[str] = field(default_factory=Counter)
    #: (number of the draw, what failed).
    failures: list[tuple[int, Attempt]] = field(default_factory=list)
    #: Why the query is left out; it then has no draws.
    left_out: Unanswerable | None = None


async def draw_failures(
    draw: Callable[[int], Awaitable[Attempt]],
    at_once: Callable[[int], int],
    *,
    max_draws: int,
    failures_per_query: int,
    keep_all: bool,
) -> Drawn:
    """Draw until ``failures_per_query`` draws failed, ``max_draws`` were made or, with ``keep_all``, one passed.

    ``draw`` makes the draw of a number, and ``at_once`` says how many may be in the making after so many. The result
    but for ``wasted`` is the same whatever it says. A query with a draw that can't be answered is left out.
    """
    drawn = Drawn()
    started = 0
    ahead: deque[asyncio.Future[Attempt]] = deque()
    try:
        while drawn.draws < max_draws:
            while started < max_draws and len(ahead) < at_once(drawn.draws):
                ahead.append(asyncio.ensure_future(draw(started)))
                started += 1
            done = await ahead[0]
            ahead.popleft()
            drawn.kinds[done.verdict.kind] += 1
            drawn.prompt_tokens += done.completion.prompt_tokens
            drawn.completion_tokens += done.completion.tokens
            if not done.verdict.passed and len(drawn.failures) < failures_per_query:
                drawn.failures.append((drawn.draws, done))
            drawn.draws += 1
            if drawn.kinds["passed"] if keep_all else len(drawn.failures) == failures_per_query:
                break
    except Unanswerable as error:
        ahead.popleft()
        drawn = Drawn(wasted=drawn.draws, left_out=error)
    finally:
        for unneeded in ahead:
            unneeded.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)
    drawn.wasted += len(ahead)
    if keep_all and drawn.kinds["passed"]:
        drawn.failures = []
    return drawn
