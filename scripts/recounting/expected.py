"""What a report must say of a run: its tables cell by cell, and the numbers of its sentences in their order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import origin
from .evaluation import MIXED, SAMPLING, Benchmark, Compared, Control, Evaluation, benchmarks, evaluate, pass_rate
from .phrases import phrases
from .run import Json, Run
from .samples import Samples
from .spelling import (
    Parts,
    Spelled,
    compact,
    duration,
    in_hundred,
    interval,
    p_value,
    percent,
    plain,
    points,
    share,
    shown,
    tenth,
)
from .statistics import Change, Rate
from .words import calls, title

#: The decoding, none outside of one, and the title, or the first cell of the head where it says what the table is.
Key = tuple[str | None, str]


@dataclass
class Table:
    head: list[str]
    rows: list[list[Parts]]


@dataclass
class Sentence:
    """The numbers of a sentence that starts so, and words that must be in it; of several where there is a tie."""

    start: str
    readings: list[tuple[list[Spelled], str]]


@dataclass
class Bar:
    rate: float
    #: Where one is drawn.
    interval: tuple[float, float] | None = None


#: Label, before and after.
Bars = tuple[str, Bar, Bar]


@dataclass
class Chart:
    caption: str
    #: Of lines: (step, value).
    bars: list[Bars] = field(default_factory=list)
    lines: list[list[tuple[float, float]]] = field(default_factory=list)
    texts: list[Parts] = field(default_factory=list)


@dataclass
class Expected:
    run: Run
    tables: dict[Key, Table]
    sentences: list[Sentence]
    notes: list[Sentence]
    cards: dict[Key, list[Parts]]
    charts: list[Chart]
    #: Of each example: its problem, then kinds of verdicts and model text by turns.
    examples: list[list[str]]
    #: What can be chosen in the page's form.
    options: set[str]
    command: str
    #: None of a report without samples.
    samples: Samples | None


def expect(run: Run, *, samples: bool = True) -> Expected:
    evaluations = evaluate(run)
    forgetting = benchmarks(run)
    tables: dict[Key, Table] = {}
    for evaluation in evaluations:
        tables |= {(evaluation.decoding, title): table for title, table in _tables(evaluation).items()}
    if not samples:
        tables = {key: table for key, table in tables.items() if key[1] != COMMON}
    tables |= {(None, title): table for title, table in _facts(run, forgetting).items()}
    return Expected(
        run=run,
        tables=tables,
        sentences=[sentence for each in evaluations for sentence in _sentences(each)] + _reward(run, evaluations),
        notes=[*_headline(evaluations), *_notes(run, forgetting)],
        cards={
            (None, f"{one.label}, {each.decoding}"): _card(one, each)
            for each in evaluations
            for one in each.comparisons
        },
        charts=[chart for each in evaluations for chart in (_bars(each), *_histograms(each))] + _curves(run),
        examples=_examples(evaluations[0]) if samples else [],
        options=_options(run, evaluations),
        command=origin.command(run),
        samples=Samples(run, evaluations) if samples else None,
    )


def _count(number: float) -> Spelled:
    return (plain(number),)


def _p(change: Change) -> Spelled:
    return p_value(change.p, off=change.p_off)


def _holm(change: Change) -> Spelled:
    return p_value(change.holm_p, off=change.p_off)


def _percent(rate: Rate) -> Spelled:
    return percent(rate.rate, exact=rate.exact)


def _points(change: Change) -> Spelled:
    return points(change.difference, exact=change.exact)


def _rate(rate: Rate) -> Parts:
    return [_percent(rate), " % [", *interval(rate.interval), "]"]


def _tables(evaluation: Evaluation) -> dict[str, Table]:
    tables = {
        "": _comparisons(evaluation.comparisons),
        **(_controls(evaluation) if evaluation.controls else {}),
        "From before to after training": _changes(evaluation),
        "From the first answer to the last": _transitions(evaluation),
        **_phrases(evaluation),
        "reflections": _reflections(evaluation),
    }
    if evaluation.baselines:
        tables["Baselines and the trained model"] = _comparisons(evaluation.baselines, "baseline", "trained")
    if evaluation.run.eval["rounds"] > 1:
        tables["Passed after so many rounds"] = _rounds(evaluation)
    if evaluation.samples > 1:
        tables["At least one of k first tries passes"] = _pass_at(evaluation)
    for each in evaluation.comparisons:
        if each.outcome != "any":
            rows: list[list[Parts]] = [
                [[kind], *(_of(n, each.change.n) for n in counts)] for kind, counts in each.kinds.items()
            ]
            tables[f"Verdicts, {_lower(each.label)}"] = Table(["verdict", "before", "after"], rows)
    return tables


def _comparisons(compared: Sequence[Compared], before: str = "before", after: str = "after") -> Table:
    return Table(
        ["", before, after, "points", "95 % interval", "lost", "won", "n", "p", "Holm p"],
        [[[each.label], *_cells(each.change)] for each in compared],
    )


def _cells(change: Change) -> list[Parts]:
    return [
        _rate(change.before),
        _rate(change.after),
        [_points(change)],
        interval(change.interval),
        [_count(change.lost)],
        [_count(change.won)],
        [_count(change.n)],
        [_p(change)],
        [_holm(change)],
    ]


def _controls(evaluation: Evaluation) -> dict[str, Table]:
    gains = [evaluation.main, *(each.gain for each in evaluation.controls)]
    table = _comparisons(gains)
    table.head += ["tokens", "prompt tokens"]
    table.rows[0][0] = ["Own reflections"]
    for row, each in zip(table.rows, gains, strict=True):
        spent = evaluation.spent(each.after)
        row += [[tenth(spent.completion)], ["not told" if spent.prompt is None else tenth(spent.prompt)]]
    return {
        "Controls: retries on the base model's failures, before and after training": table,
        "What the trained model's own reflections have over each control": _comparisons(
            [each.own for each in evaluation.controls], "control", "own"
        ),
    }


def _model(name: str) -> str:
    return {"base": "before training", "trained": "after training"}.get(name, name)


COMMON = "What reflections have in common"
_ENDS = ["", "right → right", "right → wrong", "wrong → right", "wrong → wrong"]


def _changes(evaluation: Evaluation) -> Table:
    ends = {each.label: Counter(evaluation.ends(each)) for each in evaluation.comparisons}
    return Table(_ENDS, [[[label], *([_count(counts[end])] for end in (1, 2, 3, 4))] for label, counts in ends.items()])


def _phrases(evaluation: Evaluation) -> dict[str, Table]:
    sides = [evaluation.reflected(arm) for arm in ("base", "trained_on_base")]
    head = ["phrase", "before", "after", "passed before", "passed after"]
    rows: list[list[Parts]] = [
        [
            [each.text],
            *(_with_all(n, len(side)) for (n, _), side in zip(each.counts, sides, strict=True)),
            *(_rate_of(passed, n) for n, passed in each.counts),
        ]
        for each in phrases(*sides)
    ]
    return {COMMON: Table(head, rows)} if rows else {}


def _rate_of(passed: int, n: int) -> Parts:
    return [percent(passed / n, exact=True), " %"] if n else ["none"]


def _of(count: int, n: int) -> Parts:
    return [percent(count / (n or 1), exact=True), " % (", _count(count), ")"]


def _with_all(count: int, n: int) -> Parts:
    return [percent(count / (n or 1), exact=True), " % (", _count(count), "/", _count(n), ")"]


def _transitions(evaluation: Evaluation) -> Table:
    return Table(
        _ENDS,
        [
            [[_model(name)], *([_count(number)] for number in evaluation.arm(name).transitions)]
            for name in evaluation.own_tries
        ],
    )


def _rounds(evaluation: Evaluation) -> Table:
    arms = [evaluation.arm(name) for name in evaluation.own_tries]
    names = [_model(name) for name in evaluation.own_tries]
    ungated = evaluation.run.eval["retry"] == "all"
    return Table(
        ["rounds", *names, *(f"{name}, every answer retried" for name in names if ungated)],
        [
            [
                [_count(number)],
                *(share(arm.rounds[number][0], arm.n) for arm in arms),
                *(share(arm.rounds[number][1], arm.n) for arm in arms if ungated),
            ]
            for number in range(evaluation.run.eval["rounds"] + 1)
        ],
    )


def _pass_at(evaluation: Evaluation) -> Table:
    arms = [evaluation.arm(name).pass_at for name in evaluation.own_tries]
    return Table(
        ["k", *map(_model, evaluation.own_tries)],
        [[[_count(at[0][0])], *(_rate(rate) for _, rate in at)] for at in zip(*arms, strict=True)],
    )


def _reflections(evaluation: Evaluation) -> Table:
    before, after = (evaluation.reflections(arm) for arm in ("base", "trained_on_base"))
    return Table(
        ["reflections", "before", "after"],
        [
            [["mean length, tokens"], [tenth(before[0])], [tenth(after[0])]],
            [["median length, tokens"], [_count(before[1])], [_count(after[1])]],
            [["cut off at the limit"], [percent(before[2], exact=True), " %"], [percent(after[2], exact=True), " %"]],
            [
                ["second try on the model's own failures"],
                *(share(*evaluation.second_tries(arm)) for arm in ("base", "trained")),
            ],
        ],
    )


def _facts(run: Run, forgetting: list[Benchmark]) -> dict[str, Table]:
    tables = {"data": _data(run), "training": _training(run), "run": _run(run), **_origin(run)}
    if forgetting:
        tables["benchmark"] = _forgetting(forgetting)
    if paper := PAPER.get(run.config["task"]["name"]):
        head = ["the paper", "first try before", "first try after", "second try before", "second try after"]
        tables["the paper"] = Table(head, [[[model], *map(_paper_cell, cells)] for model, cells in paper.items()])
    return tables


def _data(run: Run) -> Table:
    data, tallies = run.data, run.tallies
    rows: list[list[Parts]] = [
        [["rows read"], [_count(data["read"])]],
        [["rows skipped as bad"], [_count(data["skipped"])]],
        [["duplicates"], [_count(data["duplicates"])]],
        [
            ["queries for training, for test, unused"],
            [_count(data["train"]), ", ", _count(data["test"]), ", ", _count(data["unused"])],
        ],
    ]
    if tallies:
        draws = sum(each["draws"] for each in tallies)
        kinds: Counter[str] = Counter()
        for each in tallies:
            kinds.update(each["kinds"])
        rate = pass_rate(tallies)
        told = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
        rows += [
            [["queries sampled"], [_count(len(tallies))]],
            [["queries kept as failures"], [_count(sum(each["kept"] for each in tallies))]],
            [["draws that failed"], share(draws - sum(each["passed"] for each in tallies), draws)],
            [["pass rate of one draw"], ["none"] if rate is None else [percent(float(rate)), " % (unbiased)"]],
            [["verdicts of the draws"], [told or "none"]],
        ]
    return Table(["data", ""], rows)


def _training(run: Run) -> Table:
    if run.reward is None:
        return Table(["training", ""], [[["trained"], ["by another run"]]])
    steps = run.steps()
    resumed = sum(event["kind"] == "resumed" for event in run.events)
    checks = [event for event in run.events if event["kind"] == "self_check"]
    rates = [step["second_try"] for step in steps]
    tenth_of = -(-len(rates) // 10)
    first, last = rates[:tenth_of], rates[-tenth_of:]
    gap = compact(max(step["logprob_difference"] for step in steps)) if steps else "none"
    return Table(
        ["training", ""],
        [
            [["reward"], ["shuffled (the control)" if run.reward == "shuffled" else "the verifier"]],
            [["steps"], [_count(len(steps)), f", resumed {resumed} times" if resumed else ""]],
            [
                ["second tries of the batches, first and last tenth"],
                [percent(sum(first) / len(first)), " % → ", percent(sum(last) / len(last)), " %"]
                if steps
                else ["none"],
            ],
            [["KL to the base model at the end"], [compact(steps[-1]["kl"]) if steps else "0"]],
            [["largest log-probability gap of sampler and trainer"], [gap]],
            [
                ["largest gradient on a reflection token, on any other"],
                [f"{compact(checks[-1]['inside'])}, {compact(checks[-1]['outside'])}" if checks else "not checked"],
            ],
        ],
    )


def _run(run: Run) -> Table:
    times: list[list[Parts]] = [
        [[f"time, {stage}"], [duration(record["seconds"])]] for stage, record in run.manifest["stages"].items()
    ]
    commits: list[list[Parts]] = [[[f"hub, {name}"], [commit]] for name, commit in run.manifest.get("hub", {}).items()]
    versions = {"rrr": run.manifest["rrr_version"], **run.versions()}
    return Table(
        ["run", ""],
        [
            [["task"], [run.config["task"]["name"]]],
            [["base model"], [run.config["model"]["name"]]],
            [["trained model"], [run.trained]],
            [["seed"], [_count(run.config["seed"])]],
            [["begun"], [run.manifest["created"] or "not told"]],
            *times,
            [["machine"], [origin.machine(run)]],
            [["engines"], [origin.engines(run)]],
            [["commit of rrr"], [run.manifest.get("commit") or "not told"]],
            [["versions"], [", ".join(f"{name} {version}" for name, version in versions.items())]],
            *commits,
        ],
    )


def _origin(run: Run) -> dict[str, Table]:
    prompts = run.manifest.get("prompts") or {}
    return {
        "Where the configuration is not the default": Table(
            ["key", "default", "this run"], [[[cell] for cell in row] for row in origin.changes(run)]
        ),
        "Prompts": Table(
            ["prompt", "template"], [[[name], ["none" if text is None else text]] for name, text in prompts.items()]
        ),
        "Files that the numbers follow from": Table(
            ["file", "sha256"], [[[name], [digest]] for name, digest in origin.hashes(run)]
        ),
    }


def _forgetting(forgetting: list[Benchmark]) -> Table:
    head = ["benchmark", "n", "before", "after", "points", "95 % interval", "1 → 0", "0 → 1", "p", "Holm p"]
    rows: list[list[Parts]] = []
    for each in forgetting:
        _, _, *cells, n, p, holm = _cells(each.change)
        rates: list[Parts] = [[_percent(rate), " %"] for rate in (each.change.before, each.change.after)]
        cut: Parts = [_count(each.cut[0]), " → ", _count(each.cut[1])]
        rows.append([[each.task], n, *rates, *cells, p, holm, [_count(each.too_long)], cut])
    return Table([*head, "too long", "cut"], rows)


#: Accuracy in %: first try before and after, second try before and after. N: from notes on the paper; R: recalled.
_PAPER = {
    "countdown": {
        "Qwen2.5-1.5B": "6.0N 34.9N 10.2N 45.0N",
        "Qwen2.5-3B": "18.8R 38.8R 29.0R 47.3R",
        "Qwen2.5-7B": "31.7N 41.6N 38.0R 50.3R",
        "Llama-3.1-8B": "2.2N 8.8N 4.6R 17.8R",
    },
    "function_calling": {
        "Qwen2-1.5B": "32.6N 48.6N 34.8N 52.9N",
        "Qwen2-7B": "66.4N 72.2N 69.4R 77.3N",
        "Llama-3.1-8B": "64.9N 68.7N 70.9R 74.9R",
        "Phi-3.5-mini": "47.5R 52.9R 50.2R 56.0R",
    },
}
PAPER: dict[str, dict[str, list[str]]] = {
    task: {model: cells.split() for model, cells in rows.items()} for task, rows in _PAPER.items()
}


def _paper_cell(cell: str) -> Parts:
    return [(cell[:-1],), " (recalled)" if cell.endswith("R") else ""]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _sentences(evaluation: Evaluation) -> list[Sentence]:
    decoding = f"{evaluation.decoding.capitalize()} decoding"
    said = [
        Sentence(f"{decoding}, {_lower(each.label)}:", [_change_in_words(each.change)])
        for each in evaluation.comparisons
    ]
    if evaluation.main.change.n == 0:
        return said
    mixed = [each for each in evaluation.controls if each.name in MIXED]
    sampling = [each for each in evaluation.controls if each.name in SAMPLING]
    retries = [each for each in evaluation.controls if each not in [*mixed, *sampling]]
    for what, rivals in (("after training", retries), ("asked again", sampling)):
        if rivals:
            start = f"{decoding}, on the same failures, {what}: its own reflections fix"
            said.append(Sentence(start, _rivals(evaluation, rivals)))
    if mixed:
        changes = [evaluation.main.change, *(each.gain.change for each in mixed)]
        start = f"{decoding}, on the same failures, who improved:"
        said.append(Sentence(start, [([_points(each) for each in changes], "")]))
    return said


def _headline(evaluations: list[Evaluation]) -> list[Sentence]:
    main = next((each for each in evaluations if each.decoding == "sampled"), evaluations[0]).main.change
    if main.n == 0:
        return []
    rates = [in_hundred(rate, exact=main.exact) for rate in (main.after.rate, main.before.rate)]
    shown_change = main.outcome != "no change shown"
    size = [percent(abs(main.difference), exact=main.exact)] if shown_change else []
    words = f"A {main.outcome} of" if shown_change else "No change is shown."
    return [Sentence("When wrong, it now fixes", [([rates[0], ("100",), rates[1], *size], words)])]


def _options(run: Run, evaluations: list[Evaluation]) -> set[str]:
    kinds = {
        answer["verdict"]["kind"]
        for each in evaluations
        for tried in each.tries
        for episode in tried.episodes.values()
        for answer in (episode["first"], *(round_["retry"] for round_ in episode["rounds"]))
        if answer
    }
    return kinds | {each["name"] for each in run.eval["baselines"]}


def _change_in_words(change: Change) -> tuple[list[Spelled], str]:
    if change.n == 0:
        return [], "nothing to compare"
    outcome = change.outcome
    words = "No change shown" if outcome == "no change shown" else f"A {outcome} of"
    size = _points(change) if outcome == "no change shown" else percent(abs(change.difference), exact=change.exact)
    several = change.queries != change.n
    plain_words = [
        in_hundred(change.after.rate, exact=change.exact),
        ("100",),
        in_hundred(change.before.rate, exact=change.exact),
    ]
    rates = [_percent(change.before), _percent(change.after)]
    over = [_count(change.n), *([_count(change.queries)] if several else [])]
    return [*plain_words, size, *rates, *_interval_in_words(change), *over], words


def _interval_in_words(change: Change) -> list[Spelled]:
    return [("95",), percent(change.interval[0]), percent(change.interval[1]), _holm(change)]


def _rivals(evaluation: Evaluation, rivals: list[Control]) -> list[tuple[list[Spelled], str]]:
    rates = [_percent(each.gain.change.after) for each in rivals]
    most = max(each.gain.change.after.rate for each in rivals)
    words = {"gain": "better than", "loss": "worse than", "no change shown": "not shown to be better than"}
    return [
        (
            [
                _percent(evaluation.main.change.after),
                *rates,
                _points(best.own.change),
                *_interval_in_words(best.own.change),
            ],
            f"{words[best.own.change.outcome]} the best of these, {_lower(best.label)}:",
        )
        for best in rivals
        if best.gain.change.after.rate > most - 1e-12
    ]


def _reward(run: Run, evaluations: list[Evaluation]) -> list[Sentence]:
    if run.reward != "shuffled":
        return []
    measures = [each.change for evaluation in evaluations for each in evaluation.comparisons]
    moved = [each for each in measures if each.outcome != "no change shown"]
    numbers = [*([_count(len(moved))] if moved else []), _count(len(measures))]
    numbers += [_points(each) for each in moved]
    words = "measures moved" if moved else "is shown to have moved"
    return [Sentence("This is the control, trained on a shuffled reward", [(numbers, words)])]


def _notes(run: Run, forgetting: list[Benchmark]) -> list[Sentence]:
    years: list[Spelled] = [("1927",), ("1998",), ("10",), ("1979",)]
    notes = [Sentence("Same queries before and after.", [(years, "")])]
    if run.config["task"]["name"] in PAPER:
        notes.append(Sentence("Accuracy in % that notes on the paper", [([("2505.24726",)], "")]))
    if forgetting:
        notes.append(Sentence("General benchmarks after training", [(_forgetting_in_words(forgetting), "")]))
    return notes


def _forgetting_in_words(forgetting: list[Benchmark]) -> list[Spelled]:
    numbers: list[Spelled] = [("0.05",), ("95",)]
    for outcome in ("loss", "gain", "no change shown"):
        for each in forgetting:
            if each.change.n > 0 and each.change.outcome == outcome:
                numbers += [_points(each.change), *map(percent, each.change.interval)]
    for concerned in ("too_long", "other_prompts"):
        for each in forgetting:
            if count := getattr(each, concerned):
                numbers += [_count(count), _count(each.items)]
    return [*numbers]


def _card(compared: Compared, evaluation: Evaluation) -> list[Parts]:
    change = compared.change
    mark = {"gain": "▲ ", "loss": "▼ "}.get(change.outcome, "")
    return [
        [f"{compared.label}, {evaluation.decoding}"],
        [_percent(change.before), " → ", _percent(change.after), " %"],
        [
            mark,
            _points(change),
            f" points: {change.outcome}",
        ],
        ["Holm p = ", _holm(change), ", n = ", _count(change.n)],
    ]


def _bars(evaluation: Evaluation) -> Chart:
    return Chart(
        f"Share passed before and after training, with 95 % intervals, {evaluation.decoding} decoding",
        bars=[
            (each.label, Bar(change.before.rate, change.before.interval), Bar(change.after.rate, change.after.interval))
            for each in evaluation.comparisons
            for change in [each.change]
        ],
    )


def _histograms(evaluation: Evaluation) -> list[Chart]:
    charts = []
    for name, sides in evaluation.lengths():
        longest = max(max(side, default=0) for side in sides)
        width = next(w for power in range(12) for step in (1, 2, 5) if longest // (w := step * 10**power) < 16)
        before, after = (Counter(tokens // width for tokens in side) for side in sides)
        bins = range(longest // width + 1)
        bars = [(str(number), _bar(before, number), _bar(after, number)) for number in bins]
        caption = f"{name}, tokens: most often {_most(before, width)} before, {_most(after, width)} after"
        charts.append(Chart(caption, bars=bars, texts=[[_count(number * width)] for number in bins]))
    return charts


def _bar(count: Counter[int], number: int) -> Bar:
    return Bar(count[number] / (count.total() or 1))


def _most(count: Counter[int], width: int) -> str:
    if not count:
        return "none"
    highest = min(count, key=lambda number: (-count[number], number))
    size = shown([percent(count[highest] / count.total(), exact=True)])
    tokens = f"{highest * width}" if width == 1 else f"{highest * width} to {(highest + 1) * width - 1}"
    return f"{tokens} ({size} %)"


def _curves(run: Run) -> list[Chart]:
    steps = run.steps()
    if not steps:
        return []
    charts = [_curve(steps, *each) for each in CURVES]
    rates = [(step["step"], 100 * step["second_try"]) for step in steps]
    window = max(3, int(len(steps) / 20 + 0.5))
    means = []
    for index, (step, _) in enumerate(rates):
        some = [rate for _, rate in rates[max(0, index + 1 - window) : index + 1]]
        means.append((step, sum(some) / len(some)))
    charts[0].lines.append(means)
    charts[0].texts.append(["mean of ", _count(window), " steps"])
    return charts


#: Title, unit, key of a step, and what it is multiplied by.
CURVES = [
    ("Second tries that passed", "% passed", "second_try", 100),
    ("Spread of the reward within a group", "standard deviation", "reward_std", 1),
    ("Length of the reflections", "tokens, mean", "reflection_tokens", 1),
    ("Reflections cut at the limit", "%", "reflection_truncated", 100),
    ("KL divergence from the base model", "nats a token", "kl", 1),
    ("Gradient norm", "before clipping", "grad_norm", 1),
    ("Log-probability gap of sampler and trainer", "mean |difference|", "logprob_difference", 1),
]


def _curve(steps: Sequence[Json], title: str, unit: str, key: str, times: int) -> Chart:
    line = [(step["step"], times * step[key]) for step in steps]
    values = [value for _, value in line]
    first, last, low, high = map(compact, (values[0], values[-1], min(values), max(values)))
    said = f"{first} at first, {last} at last, between {low} and {high} ({unit})"
    return Chart(f"{title}, by step: {said}", lines=[line])


def _examples(evaluation: Evaluation) -> list[list[str]]:
    examples = []
    for tried, before, after in evaluation.examples():
        texts = [title(tried.query.fields)]
        first = tried.episodes["base"]["first"]
        texts += [first["verdict"]["kind"], calls(first["completion"])]
        for each in (before, after):
            texts += ["", each["reflection"]["completion"], each["retry"]["verdict"]["kind"]]
            texts.append(calls(each["retry"]["completion"]))
        examples.append(texts)
    return examples
