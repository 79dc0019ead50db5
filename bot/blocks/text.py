"""Text from people, tools and agents, made fit to be shown: it can be read, and it can do nothing else.

Two ways a text reaches a reader. `plain` prepares it for places Slack does not parse (`plain_text` with emoji off,
`text` elements of rich text): nothing needs escaping there, only what is invisible or misleading is made visible.
`inert` prepares it for the one field Slack does parse, a message's fallback `text`: there it can neither ping, link,
nor turn into an emoji. No builder puts a foreign text into `mrkdwn`. Which element shows which text is decided in
`elements`, not here.
"""

import re
import unicodedata

CUT_MARK = "… [cut]"
"""What stands where a text was shortened; a reader must see that there is more."""

_WORD_JOINER = "\u2060"
"""Invisible, takes no width, and breaks up a code, a link or a mention without changing how it reads."""

# Format characters that are part of ordinary writing: emoji sequences, joined scripts, and our own word joiner.
_HARMLESS = frozenset("\u200c\u200d\u2060")
_MISLEADING = frozenset("\u3164\u115f\u1160\uffa0\u2800\u034f")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})

_EMOJI_CODE = re.compile(r":(?=[a-zA-Z0-9_+'\-]+:)")
_SCHEME = re.compile(r"(?<=[a-zA-Z]):(?=//)|(?<=mailto):|(?<=tel):", re.IGNORECASE)
_BROADCAST = re.compile(r"@(?=here\b|channel\b|everyone\b)", re.IGNORECASE)


def length(text: str) -> int:
    """Length as a JavaScript client counts it (UTF-16 units), the strictest reading of Slack's "characters"."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """Return `text` in at most `limit` characters; if it was longer, it ends in `CUT_MARK`.

    A limit too small for the mark gets as much of the mark as fits.
    """
    text = text[: limit + 1]  # no more than this can matter, however long it is
    if length(text) <= limit:
        return text
    room = limit - len(CUT_MARK)
    if room <= 0:
        return CUT_MARK[:limit]
    return _prefix(text, room).rstrip() + CUT_MARK


def visible(text: str) -> str:
    r"""Write what cannot be seen, or changes how other text is seen, as `\u{202E}`; tabs become blanks."""
    normal = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    if normal.isprintable():  # excludes every hidden category but also ordinary newlines; the common case in one call
        return normal if _MISLEADING.isdisjoint(normal) else _reveal(normal)
    return _reveal(normal)


def plain(text: str, limit: int) -> str:
    """Prepare a foreign text for a place Slack does not parse; at most `limit` characters, possibly empty."""
    # Cutting first keeps a huge text cheap; revealing may lengthen it, so it is cut again.
    return cut(visible(cut(text, limit)), limit)


def one_line(text: str, limit: int) -> str:
    """`plain`, with every run of white space turned into one blank."""
    return cut(" ".join(visible(cut(text, limit * 4)).split()), limit)


def escape(text: str) -> str:
    """Escape the three characters Slack gives a meaning to, and no others."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def inert(text: str, limit: int) -> str:
    """Prepare a foreign text for a field Slack parses: one line, escaped, its codes, links and mentions broken up.

    The result holds at most `limit` characters, escapes included, and never ends inside an escape.
    """
    line = one_line(text, limit)
    line = _EMOJI_CODE.sub(":" + _WORD_JOINER, line)
    line = _SCHEME.sub(":" + _WORD_JOINER, line)
    line = _BROADCAST.sub("@" + _WORD_JOINER, line)
    escaped = escape(line)
    if length(escaped) <= limit:
        return escaped
    room, pieces = limit - len(CUT_MARK), []
    for char in line:
        piece = escape(char)
        if (room := room - length(piece)) < 0:
            break
        pieces.append(piece)
    return "".join(pieces) + CUT_MARK[: max(limit, 0)]


def _prefix(text: str, units: int) -> str:
    head = text[:units]
    while length(head) > units:
        head = head[: -max(1, (length(head) - units) // 2)]
    return head


def _reveal(text: str) -> str:
    return "".join(char if _is_plain(char) else f"\\u{{{ord(char):04X}}}" for char in text)


def _is_plain(char: str) -> bool:
    if char in "\n" or char in _HARMLESS:
        return True
    return char not in _MISLEADING and unicodedata.category(char) not in _HIDDEN_CATEGORIES
