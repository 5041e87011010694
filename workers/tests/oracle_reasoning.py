"""An independent reader of what a completion answers: read by characters, sharing no code with rrr_workers."""


def without_reasoning(text: str) -> str:
    """``text`` without ``<think>...</think>``, and without what stands before a ``</think>`` that nothing opened."""
    if "think>" not in text:
        return text
    kept: list[str] = []
    state, i = "text", 0  # or "string", "reasoning"
    while i < len(text):
        if state != "string" and text.startswith("<think>", i):
            state, i = "reasoning", i + 7
        elif state != "string" and text.startswith("</think>", i):
            kept = kept if state == "reasoning" else []
            state, i = "text", i + 8
        else:
            size = 2 if text[i] == "\\" and text[i + 1 : i + 2] in ("\\", '"') else 1
            if state != "reasoning":
                kept.append(text[i : i + size])
                if text[i] == "\n" or (text[i] == '"' and state == "string"):
                    state = "text"
                elif text[i] == '"':
                    state = "string"
            i += size
    return "".join(kept)
