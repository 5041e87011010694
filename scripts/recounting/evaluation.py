"""What is compared in an evaluation, counted from its episodes."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

from .run import ANSWER, PASSED, Episode, Json, Run, Try, first_passed, last_passed, retried, retry_passed
from .statistics import Change, Rate, adjust, change, mean_by_query, pass_at

CONTROLS = {
    "bare_retry": "Bare retry, no reflection",
    "hint": "A fixed hint in place of the reflection",
    "donor": "Another query's reflection",
    "base_reflection": "The base model's reflection, the trained model's retry",
    "trained_reflection": "The trained model's reflection, the base model's retry",
    "best_of_two": "One more sample",
    "equal_tokens": "More samples, as many tokens",
}
#: Of these only one model is tried: they are held against the base model's own reflections and retries.
MIXED = ("base_reflection", "trained_reflection")
SAMPLING = ("best_of_two", "equal_tokens")


@dataclass
class Compared:
    label: str
    before: str
    after: str
    outcome: str
    among: str
    change: Change
    kinds: dict[str, tuple[int, int]]


@dataclass
class Control:
    name: str
    label: str
    gain: Compared
    own: Compared


@dataclass
class Arm:
    """An arm that makes first tries, by its number of tries."""

    n: int
    transitions: list[int]
    #: Passed by a round, and at that round's answer.
    rounds: list[tuple[int, int]]
    pass_at: list[tuple[int, Rate]]


@dataclass
class Spent:
    completion: float
    prompt: float | None


class Evaluation:
    """Under one decoding."""

    def __init__(self, run: Run, decoding: str):
        self.run, self.decoding = run, decoding
        self.samples = run.samples(decoding)
        self.tries = run.tries(decoding)
        everything = [
            ("First try", "base", "trained", "all", "first"),
            ("Second try on the base model's failures", "base", "trained_on_base", "failures", "retry"),
            ("First or second try", "base", "trained", "all", "any"),
        ]
        if run.eval["retry"] == "all":
            everything.append(("Last answer, every one retried", "base", "trained", "all", "last"))
        self.comparisons = [self._compare(*each) for each in everything]
        self.main = self.comparisons[1]
        self.controls = [self._control(name) for name in run.eval["controls"]]
        self.baselines = [
            self._compare(f"{each['name']}, {label}", each["name"], "trained", "all", outcome)
            for each in run.eval["baselines"]
            for label, outcome in (("first try", "first"), ("first or second try", "any"))
        ]
        self.own_tries = ["base", "trained", *(each["name"] for each in run.eval["baselines"])]

    def every_change(self) -> list[Change]:
        controls = [each for control in self.controls for each in (control.gain, control.own)]
        return [each.change for each in (*self.comparisons, *controls, *self.baselines)]

    def _control(self, name: str) -> Control:
        before, after = ("base", name) if name in MIXED else (f"{name}_base", f"{name}_trained")
        label = CONTROLS[name]
        return Control(
            name,
            label,
            gain=self._compare(label, before, after, "failures", "retry"),
            own=self._compare(label, after, "trained_on_base", "failures", "retry"),
        )

    def _compare(self, label: str, before: str, after: str, among: str, outcome: str) -> Compared:
        counted = [each for each in self.tries if among == "all" or each.base_failed]
        passed = PASSED[outcome]
        sides = [[each.episodes.get(arm) for each in counted] for arm in (before, after)]
        tried = [(each.query.id, passed(one), passed(other)) for each, one, other in zip(counted, *sides, strict=True)]
        kinds = _kinds(ANSWER[outcome], sides) if outcome in ANSWER else {}
        return Compared(label, before, after, outcome, among, change(tried), kinds)

    def ends(self, compared: Compared) -> list[int]:
        """Of each try: 0 where it doesn't count, 1 passed before and after, 2 only before, 3 only after, 4 neither."""
        passed = PASSED[compared.outcome]
        ends = {(True, True): 1, (True, False): 2, (False, True): 3, (False, False): 4}
        return [
            ends[passed(each.episodes.get(compared.before)), passed(each.episodes.get(compared.after))]
            if compared.among == "all" or each.base_failed
            else 0
            for each in self.tries
        ]

    def reflected(self, arm: str) -> list[tuple[str, bool]]:
        """First reflections on the base model's failures, and whether the retry passed."""
        rounds = [retried(each.episodes.get(arm))[:1] for each in self.tries if each.base_failed]
        return [
            (first[0]["reflection"]["completion"], first[0]["retry"]["verdict"]["passed"])
            for first in rounds
            if first and first[0]["reflection"]
        ]

    def lengths(self) -> list[tuple[str, list[list[int]]]]:
        """Title, and tokens before and after; none where there are none."""
        first = [[each.episodes[arm]["first"]["tokens"] for each in self.tries] for arm in ("base", "trained")]
        found = [("First answers", first)]
        failures = [each for each in self.tries if each.base_failed]
        for part, name in (("reflection", "Reflections"), ("retry", "Retries")):
            rounds = [
                [round_ for each in failures for round_ in retried(each.episodes.get(arm))]
                for arm in ("base", "trained_on_base")
            ]
            sides = [[each[part]["tokens"] for each in side if each[part]] for side in rounds]
            found.append((f"{name} on the same failures", sides))
        return [(name, sides) for name, sides in found if any(sides)]

    def failed(self, arm: str) -> list[Json]:
        """The episodes that go on after a failed first try."""
        return [
            each.episodes[arm] for each in self.tries if arm in each.episodes and not first_passed(each.episodes[arm])
        ]

    def second_tries(self, arm: str) -> tuple[int, int]:
        failed = self.failed(arm)
        return sum(map(retry_passed, failed)), len(failed)

    def reflections(self, arm: str) -> tuple[float, float, float]:
        """Mean and median length, and the share that was cut."""
        made = [each["reflection"] for episode in self.failed(arm) for each in retried(episode) if each["reflection"]]
        if not made:
            return 0.0, 0.0, 0.0
        lengths = [each["tokens"] for each in made]
        cut = sum(each["finish_reason"] == "length" for each in made)
        return sum(lengths) / len(made), median(lengths), cut / len(made)

    def spent(self, arm: str) -> Spent:
        failed = self.failed(arm)
        said = [
            completion
            for episode in failed
            for each in retried(episode)
            for completion in (each["reflection"], each["retry"])
            if completion
        ]
        prompts = [completion.get("prompt_tokens") for completion in said]
        n = len(failed) or 1
        prompt = None if None in prompts else sum(prompts) / n
        return Spent(sum(completion["tokens"] for completion in said) / n, prompt)

    def arm(self, name: str) -> Arm:
        episodes = [each.episodes[name] for each in self.tries]
        ends = Counter((first_passed(episode), last_passed(episode)) for episode in episodes)
        return Arm(
            n=len(episodes),
            transitions=[ends[first, last] for first in (True, False) for last in (True, False)],
            rounds=[_passed_by(round_, episodes) for round_ in range(self.run.eval["rounds"] + 1)],
            pass_at=self._pass_at(name),
        )

    def _pass_at(self, name: str) -> list[tuple[int, Rate]]:
        passed: Counter[str] = Counter()
        for each in self.tries:
            passed[each.query.id] += first_passed(each.episodes[name])
        powers = [2**power for power in range(self.samples.bit_length()) if 2**power <= self.samples]
        return [
            (k, mean_by_query([pass_at(k, self.samples, c) for c in passed.values()], len(self.tries))) for k in powers
        ]

    def examples(self) -> list[tuple[Try, Json, Json]]:
        """The first failures that both models reflected on, with the first round of each."""
        found = []
        for each in self.tries:
            rounds = [retried(each.episodes.get(arm))[:1] for arm in ("base", "trained_on_base")]
            if each.base_failed and all(first and first[0]["reflection"] for first in rounds):
                found.append((each, rounds[0][0], rounds[1][0]))
        return found[: self.run.eval["examples"]]


def evaluate(run: Run) -> list[Evaluation]:
    evaluations = [Evaluation(run, decoding) for decoding in run.eval["modes"]]
    adjust([each for evaluation in evaluations for each in evaluation.every_change()])
    return evaluations


def _kinds(answer: Callable[[Episode], Json | None], sides: Sequence[Sequence[Episode]]) -> dict[str, tuple[int, int]]:
    before, after = (Counter(found["verdict"]["kind"] for found in map(answer, side) if found) for side in sides)
    return {kind: (before[kind], after[kind]) for kind in before.keys() | after.keys()}


def _passed_by(round_: int, episodes: Sequence[Json]) -> tuple[int, int]:
    cut = [{**episode, "rounds": episode["rounds"][:round_]} for episode in episodes]
    by_then = sum(first_passed(each) or retry_passed(each) for each in cut)
    return by_then, sum(map(last_passed, cut))


@dataclass
class Benchmark:
    task: str
    items: int
    too_long: int
    cut: tuple[int, int]
    other_prompts: int
    change: Change


def benchmarks(run: Run) -> list[Benchmark]:
    found = [_benchmark(task, *items) for task, items in run.benchmarks().items()]
    adjust([each.change for each in found])
    return found


def _benchmark(task: str, before: list[Json], after: list[Json]) -> Benchmark:
    later = {item["id"]: item for item in after}
    pairs = [(item, later[item["id"]]) for item in before]
    asked = [pair for pair in pairs if not any(item["too_long"] for item in pair)]
    return Benchmark(
        task,
        items=len(pairs),
        too_long=len(pairs) - len(asked),
        cut=(sum(one["cut"] for one, _ in asked), sum(other["cut"] for _, other in asked)),
        other_prompts=sum(one["prompt"] != other["prompt"] for one, other in asked),
        change=change([(one["id"], one["score"] == 1, other["score"] == 1) for one, other in asked]),
    )


def pass_rate(tallies: Sequence[Json]) -> Fraction | None:
    rates = [Fraction(each["pass_rate"]) for each in tallies if each["pass_rate"] is not None]
    return sum(rates, Fraction(0)) / len(rates) if rates else None
