"""Small texts."""

from pathlib import Path

from rrr_workers.text import clip, numbered_lines


def test_a_clipped_text_has_at_most_so_many_characters() -> None:
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 6) == "abc..."


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('"\u2028\x85"\n\n \r\n"b"'.encode())
    assert list(numbered_lines(path)) == [(1, '"\u2028\x85"\n'.encode()), (4, b'"b"')]
