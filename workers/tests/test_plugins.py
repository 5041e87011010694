"""Tasks of a user's own: classes in files and packages, configuration alone, verifiers in any language."""

import json
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness import resolved_config
from rrr_workers.config import TaskSection, parse_config
from rrr_workers.config_model import Prompts as PromptsSection
from rrr_workers.config_model import Verifier as VerifierSection
from rrr_workers.data.prepare import prepare
from rrr_workers.episode import next_prompt
from rrr_workers.errors import UserError
from rrr_workers.runtime.frames import error_info
from rrr_workers.tasks.base import BadRow, FinishReason, Query, Verdict
from rrr_workers.tasks.command_verifier import CommandVerifier
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.loaded import LoadedTask
from rrr_workers.tasks.registry import load_task

WHOLE = """
    from rrr_workers.api import Prompts, Query, Task, Verdict

    class Echo(Task):
        name = "echo"
        error_kinds = ("other",)
        default_prompts = Prompts("Say {word}", "Why not?", "Again")
        placeholders = ("word",)

        def normalise(self, raw):
            return Query(raw["word"], {"word": raw["word"]})

        def judge(self, query, completion, finish_reason):
            passed = completion == query.fields["word"]
            return Verdict(passed, "passed" if passed else "other")
"""


def section(name: str, **keys: Any) -> TaskSection:
    return TaskSection(name=name, options=keys.pop("options", {}), prompts=PromptsSection(), **keys)


def plugin(folder: Path, source: str) -> str:
    file = folder / "echo.py"
    file.write_text(textwrap.dedent(source), encoding="utf-8")
    return f"{file}:Echo"


def test_a_class_in_a_file_and_one_in_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = plugin(tmp_path, WHOLE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for written in (name, "echo:Echo"):
        loaded = load_task(section(written))
        query = loaded.normalise({"word": "hi"}, "row 1")
        assert loaded.verifier is loaded.task
        assert loaded.judge(query, "hi", "stop").passed
        assert loaded.judge(query, "ho", "stop") == Verdict(False, "other")


@pytest.mark.parametrize(
    ("change", "message", "cure"),
    [
        (("def judge", "def jugde"), "class Echo of .*echo.py lacks the method judge", "signature"),
        (("placeholders = ", "x = "), r"lacks placeholders \(tuple\)", "set it on the class"),
        (("(Task)", ""), "class Echo of .*echo.py is no Task", r"class Echo\(Task\)"),
        (("class Echo", "class Eco"), "has no class 'Echo'", "classes there: .*Eco"),
        (("from rrr_workers", "1 / 0\n    from rrr_workers"), "ZeroDivisionError: .* at .*echo.py:2", "import"),
        (("def judge", "def judge("), "SyntaxError", "import"),
        (("import Prompts", "import Promts"), "ImportError: .*Promts", "import"),
        (
            ("from rrr_workers", "import sys; sys.exit(2)\n    from rrr_workers"),
            "SystemExit: 2 at .*echo.py:2",
            "import",
        ),
    ],
)
def test_a_class_that_will_not_do_is_refused_by_name(
    tmp_path: Path, change: tuple[str, str], message: str, cure: str
) -> None:
    name = plugin(tmp_path, WHOLE.replace(*change))
    with pytest.raises(UserError, match=message) as caught:
        load_task(section(name))
    assert re.search(cure, caught.value.cure or "")


def test_a_file_may_import_its_neighbours_which_never_pass_for_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "echo_words.py").write_text("def same(a, b): return a == b\n")
    (tmp_path / "json.py").write_text("1 / 0\n")
    source = WHOLE.replace("completion == ", "same(completion, ").replace(
        'fields["word"]\n            return', 'fields["word"])\n            return'
    )
    for imports in ("import json\n    from echo_words import same\n    from rrr_", "from rrr_"):
        late = "" if "same" in imports else "from echo_words import same\n            "
        name = plugin(tmp_path, source.replace("from rrr_", imports).replace("passed = ", f"{late}passed = "))
        loaded = load_task(section(name))
        assert loaded.judge(loaded.normalise({"word": "hi"}, "row 1"), "hi", "stop").passed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conutdown", "unknown task 'conutdown'"),
        ("./nowhere.py:Task", "no file ./nowhere.py"),
        ("no_such_package.tasks:Mine", "No module named 'no_such_package'"),
        ("custom", "task.options.fields"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_task(section(name))


def test_what_a_user_s_task_raises_is_the_user_s(tmp_path: Path) -> None:
    task = load_task(section(plugin(tmp_path, WHOLE)))
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"word": "hi"}\n{"wrod": "hi"}\n')
    config = parse_config(resolved_config(data={"source": "jsonl", "path": str(rows), "rows": None}))
    with pytest.raises(UserError) as raised:
        prepare(config, task, tmp_path / "data")
    info = error_info(raised.value)
    assert info["type"] == "user"
    assert re.fullmatch(r"normalise raised KeyError: 'word', at .*echo.py:11, in .*rows.jsonl:2", info["message"])
    assert "rrr task check" in info["cure"]
    # A class that inherits everything from one of rrr's makes rrr's file no file of the user's.
    heir = "from rrr_workers.tasks.countdown.task import Countdown\n\n\nclass Echo(Countdown):\n    source = __file__\n"
    name = plugin(tmp_path, heir)
    load_task(section(name))
    with pytest.raises(AttributeError) as bug:
        load_task(section("countdown")).normalise(None, "row 1")  # type: ignore[arg-type]
    assert error_info(bug.value)["type"] == "bug"
    with pytest.raises(AttributeError):
        load_task(section(name)).normalise(None, "row 1")  # type: ignore[arg-type]


def test_whatever_a_user_s_task_owes_is_told_as_the_user_s(tmp_path: Path) -> None:
    def try_it(source: str) -> None:
        loaded = load_task(section(plugin(tmp_path, source)))
        query = loaded.normalise({"word": "hi"}, "row 1")
        next_prompt(loaded, query)
        loaded.judge(query, "hi", "stop")

    init = "        def __init__(self, *given): self.limit = given[0]['limit']\n\n        def normalise"
    bad = "from rrr_workers.api import BadRow\n            raise BadRow('x')"
    for change, message in (
        (("passed = completion", "passed = completions"), "judge raised NameError: .*, at .*echo.py:14"),
        # The template wants a field that the query lacks: no line of the user's is at work then.
        (('{"word": raw["word"]}', "{}"), "prompt_fields raised KeyError: 'word'$"),
        (("return Query(", "Query("), "normalise gave None, in row 1"),
        (("return Verdict(", "Verdict("), "judge gave None on query hi"),
        (
            ("return Verdict(passed,", "import numpy; return Verdict(numpy.bool_(passed),"),
            "of the type numpy.bool, on query hi",
        ),
        (('if passed else "other")', 'if passed else "other", None)'), "judge gave Verdict.*detail=None.* on query hi"),
        (('Query(raw["word"],', "Query(7,"), "normalise gave the id 7, which is no text, in row 1"),
        (("passed = completion", "import sys; sys.exit(4)\n            passed = completion"), "raised SystemExit: 4"),
        (("        def normalise", init), "__init__ raised KeyError: 'limit', at .*echo.py:10"),
        (("passed = completion == ", f"{bad}\n            passed = "), "judge raised BadRow: x, at .*echo.py:15"),
    ):
        with pytest.raises(UserError, match=message):
            try_it(WHOLE.replace(*change))
    with pytest.raises(UserError, match="task 'echo' has no generator"):
        next(load_task(section(plugin(tmp_path, WHOLE))).task.generate(1, 0))


# --- Verifiers that are commands ---

ANSWER = """
    import json, sys
    for line in sys.stdin:
        asked = json.loads(line)
        passed = asked["completion"] == asked["query"]["word"]
        answer = {"id": asked["id"], "passed": passed, "kind": "other", "detail": asked["finish_reason"]}
        print(json.dumps(answer), flush=True)
"""
QUERY = Query("q1", {"word": "hi"})


def command(folder: Path, source: str, timeout_s: float = 10.0, processes: int = 1) -> CommandVerifier:
    file = folder / "verify.py"
    file.write_text(textwrap.dedent(source), encoding="utf-8")
    return CommandVerifier([sys.executable, str(file)], timeout_s, processes)


def test_a_command_judges(tmp_path: Path) -> None:
    verifier = command(tmp_path, ANSWER)
    assert verifier.judge(QUERY, "hi", "stop") == Verdict(True, "passed", "stop")
    assert verifier.judge(QUERY, "ho\n\ud800", "length") == Verdict(False, "other", "length")
    verifier.close()


def test_a_verifier_in_another_language(tmp_path: Path) -> None:
    script = tmp_path / "verify.sh"
    script.write_text(
        "while read -r line; do\n"
        '  id=${line#*\\"id\\": }; id=${id%%,*}\n'
        '  case $line in *\'"completion": "hi"\'*) passed=true;; *) passed=false;; esac\n'
        '  echo "{\\"id\\": $id, \\"passed\\": $passed}"\n'
        "done\n",
        encoding="utf-8",
    )
    verifier = CommandVerifier(["sh", str(script)], 10.0)
    assert verifier.judge(QUERY, "hi", "stop").passed
    assert verifier.judge(QUERY, "ho", "stop") == Verdict(False, "failed")
    verifier.close()


def test_one_crash_is_forgiven(tmp_path: Path) -> None:
    verifier = command(
        tmp_path,
        f"""
    import os, sys
    if not os.path.exists({str(tmp_path / "seen")!r}):
        open({str(tmp_path / "seen")!r}, "w").close()
        sys.stdin.readline()
        sys.exit(3)
    """
        + ANSWER,
    )
    assert verifier.judge(QUERY, "hi", "stop").passed
    verifier.close()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys; sys.stderr.write('no model file\\n'); sys.exit(3)", "ended with status 3(.|\n)*no model file"),
        ("for line in open(0): print('yes', flush=True)", "printed no JSON but yes"),
        ('for line in open(0): print(\'{"id": 7, "passed": true}\', flush=True)', 'needs "id": 2'),
        ("""for line in open(0): print('{"id": 1, "passed": 1}', flush=True)""", '"passed": true or false'),
        ("print('[' * 100000, flush=True); open(0).read()", r"printed no JSON but \[\["),
        ("import time; time.sleep(60)", r"no answer within 0.5 s \(task.verifier.timeout_s\); does it flush"),
        ("while True: print('x' * 999, end='')", "printed (no JSON but x|more than 16 MiB)"),
        (
            "import sys\nwhile True: sys.stderr.write('x' * 9999 + chr(10))",
            "printed more than 16 MiB without an answer",
        ),
        ("import sys\nwhile True: sys.stderr.write('x' * 9999)", "printed more than 16 MiB without an answer"),
    ],
)
def test_a_broken_verifier_is_an_error_and_never_a_verdict(tmp_path: Path, source: str, message: str) -> None:
    verifier = command(tmp_path, source, timeout_s=0.5 if "sleep" in source else 10.0)
    started = time.monotonic()
    with pytest.raises(UserError, match=message) as caught:
        verifier.judge(QUERY, "x" * 200_000, "stop")
    assert "verify.py" in str(caught.value)
    assert "query q1" in str(caught.value)
    assert caught.value.cure
    assert time.monotonic() - started < 5


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be started: No such file"):
        CommandVerifier([str(tmp_path / "nothing")], 1.0).judge(QUERY, "hi", "stop")


def test_an_answer_nobody_asked_for_is_no_verdict_on_the_next_completion(tmp_path: Path) -> None:
    verifier = command(
        tmp_path, ANSWER.replace("flush=True)", 'flush=True); print(\'{"id": 2, "passed": true}\', flush=True)')
    )
    verifier.judge(QUERY, "ho", "stop")
    time.sleep(0.3)
    assert not verifier.judge(QUERY, "ho", "stop").passed
    verifier.close()


def test_a_task_of_configuration_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"task\.verifier is missing"):
        load_task(section("custom", options={"fields": ["word"]}))
    file = tmp_path / "verify.py"
    file.write_text(textwrap.dedent(ANSWER), encoding="utf-8")
    loaded = load_task(
        section(
            "custom",
            options={"fields": ["word", "hint"], "split_by": ["word"]},
            verifier=VerifierSection(command=[sys.executable, str(file)], timeout_s=10, processes=3),
        )
    )
    task = loaded.task
    one, two = (task.normalise({"word": "hi", "hint": hint, "more": object()}) for hint in ("a", "b"))
    assert one.id != two.id
    assert one.split_key == two.split_key
    assert task.placeholders == ("word", "hint")
    assert loaded.verifier.waits
    assert loaded.verifier.parallel == 3
    assert loaded.verifier.error_kinds is None
    assert loaded.judge(one, "hi", "stop").passed
    with pytest.raises(BadRow, match="hint is missing"):
        task.normalise({"word": "hi"})


def test_names_that_a_template_takes_apart_are_told_with_the_way_round() -> None:
    for field, other in (("user.name", "user_name"), ("0", "field_0"), ("a[b]", "a_b_")):
        prompts = PromptsSection(question=f"{{{field}}}")
        task = TaskSection(
            name="custom",
            options={"fields": [field]},
            prompts=prompts,
            verifier=VerifierSection(command=["true"], timeout_s=1, processes=1),
        )
        with pytest.raises(UserError, match=re.escape(f"data.columns: {{{other}: {field}}}, and write {{{other}}}")):
            load_task(task)
        fine = task.model_copy(update={"prompts": PromptsSection(question="{word}")})
        load_task(fine.model_copy(update={"options": {"fields": [field, "word"]}}))


def test_the_verifier_process_ends_with_its_worker(tmp_path: Path) -> None:
    command(tmp_path, ANSWER)
    script = (
        "import sys\n"
        "import psutil\n"
        "from rrr_workers.tasks.base import Query\n"
        "from rrr_workers.tasks.command_verifier import CommandVerifier\n"
        f"verifier = CommandVerifier([sys.executable, {str(tmp_path / 'verify.py')!r}], 10.0)\n"
        "verifier.judge(Query('q', {'word': 'hi'}), 'hi', 'stop')\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        "import os; os.kill(os.getpid(), 9)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    pid = json.loads(ran.stdout)
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)


def test_a_verdict_that_contradicts_itself_ends_the_run(tmp_path: Path) -> None:
    class Sloppy(Countdown):
        def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
            return Verdict(completion == "1", "ok")

    task = Sloppy()
    with pytest.raises(UserError, match="judge gave passed=True with the kind 'ok' on query q1") as caught:
        LoadedTask(task, task).judge(QUERY, "1", "stop")
    assert caught.value.cure == 'give passed verdicts the kind "passed", and no others'
    script = tmp_path / "verify.py"
    script.write_text(
        "import json\n"
        "while True:\n"
        "    asked = json.loads(input())\n"
        '    print(json.dumps({"id": asked["id"], "passed": False, "kind": "passed"}), flush=True)\n'
    )
    with pytest.raises(UserError, match=r'"passed" and "kind" contradict each other: .*, on query q1'):
        CommandVerifier([sys.executable, str(script)], 5).judge(QUERY, "1", "stop")
