"""What rrr costs: tokens/s of a real `rrr build-failures` over those of vLLM alone, and the CPU time a draw takes.

npm run --silent bench -- pool [--model tiny|smollm2] [--cores own|shared|both] [--rows N]
last line: {"own_core": {"ratio", "cpu_us_per_draw", "tokens_per_second", ...}, "shared": {...}, "draws", "same_draws"}

Both generate the same draws of the same queries: a first run of rrr, which isn't measured, tells how many draws each
query needs. vLLM alone (support/raw_vllm.py) is a process of its own, on an engine with the same arguments; it gets the
prompts as text, with the seeds and the limits, and does what `LLM.generate` does.

Once each of the two has loaded its model and made its first draws, they take turns of a second, so that a machine that
grows slower or faster does so for both, until one of them has made its last draw. The speed of each is that of its own
turns. What was done is read from their journals between the turns, which costs neither of them anything: a line of
rrr's is a query that is done with all its draws, one of raw vLLM's is a draw.

own_core, shared   on a CPU: the engine has a core to itself, or shares all cores with what else runs. On a GPU the same
ratio              tokens/s of rrr / those of raw vLLM. rrr's draws made ahead of need don't count as tokens of its own
cpu_us_per_draw    microseconds of CPU time, user and system, by process, over the whole turns
seconds            of the turns of each
draws              of all the queries: those that each of the two would make if the other one didn't end first
same_draws         whether both generated the same: the failures' texts, and the tokens, of each query that both are
                   done with. Always so in float32 on a CPU

It needs rows by the thousand: a query's draws come one after another, so the end of a run leaves the engine half empty,
and what was half done when the turns began counts where it is finished. Of a short run both are a large part.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from support.leash import Leashed
from support.rrr_run import CORES, ROOT, check_done, environment, progress, start
from support.turns import Turn, stop, take_turns

#: config, rows, lines of the journal that warm either of the two up, settings
MODELS: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "tiny": (
        "demo.yaml",
        20_000,
        1000,
        # More problems than the demo's world holds.
        {"task.options.generator.high": 16, "data.test_fraction": 0.05, "data.train_fraction": 0.95},
    ),
    "smollm2": ("smollm2-countdown.yaml", 200, 16, {"data.test_fraction": 0.05, "data.train_fraction": 0.95}),
}
RAW_VLLM = Path(__file__).with_name("support") / "raw_vllm.py"
REPORTED_AS = {"own": "own_core", "shared": "shared"}
_POLL_S = 0.05


class Done(NamedTuple):
    """What a line of a journal tells."""

    query: str
    draws: int
    tokens: int
    #: By the number of the draw; of rrr's draws only the failures have theirs.
    texts: dict[int, str]


def of_rrr(line: dict[str, Any]) -> Done:
    result = line["result"]
    texts = {failure["draw"]: failure["completion"] for failure in result["failures"]}
    return Done(line["id"], result["draws"], result["completion_tokens"], texts)


def of_raw(line: dict[str, Any]) -> Done:
    return Done(line["id"], 1, line["tokens"], {line["draw"]: line["completion"]})


class Mark(NamedTuple):
    """How far a program is, between two turns."""

    #: The journal's whole lines, and their bytes.
    lines: int
    bytes: int
    #: By process.
    cpu_s: dict[str, float]


class Contender:
    """One of the two, and what it did in its turns."""

    def __init__(self, program: Leashed, journal: Path, lines: int, read: Callable[[dict[str, Any]], Done]):
        self.program = program
        self._journal, self._lines, self._read = journal, lines, read
        self.seconds = 0.0
        self._warm = self._last_whole_turn = self._last_turn = Mark(0, 0, {})

    @property
    def finished(self) -> bool:
        return self._last_turn.lines == self._lines

    def warm_up(self, lines: int) -> None:
        """Wait until the journal has so many lines, then stop it until its first turn."""
        while not self._journal.exists() or self._whole_lines()[0] < lines:
            if self.program.poll() is not None:
                raise self.program.failed()
            time.sleep(_POLL_S)
        stop(self.program)
        self._warm = self._last_whole_turn = self._last_turn = self._mark()

    def took(self, turn: Turn) -> None:
        """Its turn is over. It ends with the last draw, if that is in it."""
        begin, end = turn
        self._last_turn = self._mark()
        if self.finished:
            end = min(end, self._journal.stat().st_mtime)
        elif self.program.poll() is None:
            self._last_whole_turn = self._last_turn
        else:
            raise self.program.failed()
        self.seconds += end - begin

    def tokens_per_second(self) -> float:
        return sum(done.tokens for done in self._between(self._warm, self._last_turn)) / self.seconds

    def cpu_us_per_draw(self) -> dict[str, int]:
        draws = sum(done.draws for done in self._between(self._warm, self._last_whole_turn))
        if draws == 0:
            raise SystemExit("it ended in its first turn: use more --rows")
        before, after = self._warm.cpu_s, self._last_whole_turn.cpu_s
        return {name: round(1e6 * (after[name] - before.get(name, 0.0)) / draws) for name in sorted(after)}

    def done(self) -> list[Done]:
        """All that it did, also to warm up."""
        return self._between(Mark(0, 0, {}), self._last_turn)

    def _between(self, begin: Mark, end: Mark) -> list[Done]:
        lines = self._journal.read_bytes()[begin.bytes : end.bytes].splitlines()
        return [self._read(json.loads(line)) for line in lines]

    def _mark(self) -> Mark:
        return Mark(*self._whole_lines(), cpu_seconds(self.program))

    def _whole_lines(self) -> tuple[int, int]:
        """Their number and bytes. A last line that isn't whole yet is left for later."""
        journal = self._journal.read_bytes()
        return journal.count(b"\n"), journal.rfind(b"\n") + 1


def cpu_seconds(program: Leashed) -> dict[str, float]:
    """What its living processes have used so far, by what they are."""
    spent: dict[str, float] = defaultdict(float)
    for process in program.processes():
        try:
            with process.oneshot():
                times = process.cpu_times()
                spent[name_of(process.cmdline())] += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return dict(spent)


def name_of(command: list[str]) -> str:
    """What a process is, by its command line. vLLM's processes say it in their titles, such as "VLLM::EngineCore"."""
    line = " ".join(command)
    if line.startswith("VLLM::"):
        return line.split()[0]
    # A guardian's command names its worker.
    for part, name in (
        ("rrr_workers.runtime.guardian", "guardian"),
        ("rrr_workers.roles.sampler", "sampling worker"),
        ("main.js", "orchestrator"),
        (RAW_VLLM.name, "front end"),
    ):
        if part in line:
            return name
    return "others"


def same_draws(rrr: Contender, raw: Contender) -> bool:
    """Whether the two generated the same for every query that both are done with, and there are such queries."""
    draws: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    texts: dict[str, dict[int, str]] = defaultdict(dict)
    for done in raw.done():
        draws[done.query] += done.draws
        tokens[done.query] += done.tokens
        texts[done.query].update(done.texts)
    both = [done for done in rrr.done() if draws[done.query] == done.draws]
    return bool(both) and all(
        done.tokens == tokens[done.query] and done.texts.items() <= texts[done.query].items() for done in both
    )


def measure(folder: Path, config: Path, settings: dict[str, Any], first: Path, warm_up: int, cores: str) -> Any:
    """The part of the report for such ``cores``, and whether the draws were the same. ``first``: the first run."""
    folder.mkdir()
    journal = folder / "raw-vllm.jsonl"
    command = [sys.executable, str(RAW_VLLM), str(first), str(journal)]
    draws = draws_of(first)
    with Leashed(command, folder / "raw-vllm.out", environment(cores)) as program:
        raw = Contender(program, journal, sum(draws), of_raw)
        raw.warm_up(warm_up)
        run = folder / "rrr"
        with start(config, run, settings, cores) as program:
            rrr = Contender(program, run / "failures" / "journal.jsonl", len(draws), of_rrr)
            rrr.warm_up(warm_up)
            contenders = {"rrr": rrr, "raw": raw}
            for number, turn in take_turns(*(each.program for each in contenders.values())):
                contender = list(contenders.values())[number]
                contender.took(turn)
                if contender.finished:
                    break
            return report(contenders), same_draws(rrr, raw)


def report(contenders: dict[str, Contender]) -> dict[str, Any]:
    speeds = {name: each.tokens_per_second() for name, each in contenders.items()}
    return {
        "ratio": round(speeds["rrr"] / speeds["raw"], 3),
        "cpu_us_per_draw": {name: each.cpu_us_per_draw() for name, each in contenders.items()},
        "tokens_per_second": {name: round(speed) for name, speed in speeds.items()},
        "seconds": {name: round(each.seconds, 1) for name, each in contenders.items()},
    }


def draws_of(run: Path) -> list[int]:
    """The draws that count, of each query."""
    with (run / "failures" / "tallies.jsonl").open() as tallies:
        return [json.loads(line)["draws"] for line in tallies]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="tiny")
    parser.add_argument("--cores", choices=[*CORES, "both"], default="both")
    parser.add_argument("--rows", type=int, help="default: as many as give a steady rate")
    options = parser.parse_args()
    name, rows, warm_up, settings = MODELS[options.model]
    config = ROOT / "configs" / name
    rows = options.rows or rows
    settings = {**settings, "data.rows": rows, "data.train_rows": rows}
    warm_up = min(warm_up, rows // 4)
    result: dict[str, Any] = {}
    same = []
    with tempfile.TemporaryDirectory(prefix="rrr-bench-") as temporary:
        folder = Path(temporary)
        first = folder / "first"
        with start(config, first, settings) as rrr:
            rrr.wait()
            check_done(rrr)
        progress(f"the first run made {sum(draws_of(first))} draws")
        for cores in CORES if options.cores == "both" else [options.cores]:
            measured, equal = measure(folder / cores, config, settings, first, warm_up, cores)
            result[REPORTED_AS[cores]] = measured
            same.append(equal)
            progress(f"{REPORTED_AS[cores]}: {measured}")
        draws = sum(draws_of(first))
    print(json.dumps({**result, "draws": draws, "same_draws": all(same)}))


if __name__ == "__main__":
    main()
