r"""Making every character visible: what a person reads is what is there, and nothing looks like something it is not.

As they are stay printable ASCII, line breaks, and plain letters. Everything else is written as `\u{202E}`: what is
invisible, what turns text round, what joins its neighbour, what looks like another letter. The writing can be undone,
so two different texts never read the same.

Which letters are plain is decided by Unicode 3.2, which Python keeps for good beside its current tables: a digest of
what people have seen must not change because Python was updated. Letters added since then are written out.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

_UNICODE = unicodedata.ucd_3_2_0

ESCAPE = re.compile(r"\\u\{(10[0-9A-F]{4}|[0-9A-F]{4,5})\}")
"""One character, written out."""

LEAST_PAGE = 12
"""UTF-16 units; the longest character written out takes ten."""

_IMITATION = re.compile(r"\\(?=u\{)")
_OF_ASCII = re.compile(r"[\x00-\x1f\x7f]|\\(?=u\{)")
"""What of ASCII is written out."""

_WRITTEN_TODAY = frozenset({
    "LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "HEBREW", "ARABIC", "SYRIAC", "THAANA", "DEVANAGARI", "BENGALI",
    "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "THAI", "LAO",
    "TIBETAN", "MYANMAR", "GEORGIAN", "ETHIOPIC", "CHEROKEE", "KHMER", "HANGUL", "HIRAGANA", "KATAKANA",
    "BOPOMOFO", "CJK",
})  # fmt: skip
"""Scripts in which people write to each other; the letters of others (runes, Gothic, …) are written out."""

_TOGETHER = (frozenset({"CJK", "HIRAGANA", "KATAKANA"}), frozenset({"CJK", "HANGUL"}), frozenset({"CJK", "BOPOMOFO"}))
"""Scripts that make up one way of writing: a Japanese word of several is no mixture."""

_STROKED = frozenset("ßæÆœŒøØłŁđĐðþÞħĦ")
"""Letters of European languages that are not an ASCII letter with an accent; they cannot be taken for one either."""

_LOOKALIKES = {
    "CYRILLIC": frozenset("аеорсухіјѕһԁѵѡгпкмьүұҽҿәӕөѳѯӡзбчҷҹҫҳҝқҟҡєАВЕКМНОРСТУХІЈЅҮҰҺѴѠӀЗӠБЬЧҶҸԌԁѲӨҪӔЄҲҢҤҚҜҞҠҬ"),
    "GREEK": frozenset("αιονυργϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"),
    "ARMENIAN": frozenset("աօսցհոռլքեյզգՍՕՏԼՀՈ"),
    "CHEROKEE": frozenset("ᎠᎡᎢᎥᎦᎨᎩᎪᎫᎬᎭᎮᎯᎰᎱᎳᎵᎶᎷᎸᎻᎽᎾᎿᏀᏂᏃᏆᏇᏎᏏᏐᏒᏓᏔᏕᏗᏙᏚᏜᏞᏟᏢᏣᏤᏦᏧᏩᏫᏬᏮᏯᏰᏱᏲᏳᏴᎤ"),
    "GEORGIAN": frozenset("ყႽႦ"),
    "HEBREW": frozenset("\u05d5\u05d8\u05d7\u05d9\u05df\u05e1\u05dd"),  # vav, tet, het, yod, final nun, samekh, mem
    "ARABIC": frozenset("\u0627\u0647\u0629\u06c1\u06be\u06d5\u06c3\u0649"),  # alef and the forms of heh
    "ETHIOPIC": frozenset("ዐሀፐነ"),
    "MALAYALAM": frozenset("ഠ"),
    "ORIYA": frozenset("ଠ"),
    "TAMIL": frozenset("டப"),
    "THAI": frozenset("ทกนบแเ"),
    "LAO": frozenset("ທນບ"),
    "MYANMAR": frozenset("ဝငပ"),
    "CJK": frozenset("丨丿一丶亅乙乚工卜口厂了二三十"),
    "KATAKANA": frozenset("ノーソンニハロエトメヒミイ"),
    "HIRAGANA": frozenset("へくしつりいこ"),
    "BOPOMOFO": frozenset("ㄧㄒㄥㄨㄑㄩㄇㄈㄋㄥㄚㄙ"),
}
"""Letters that can be taken for a Latin letter, a digit or a sign of ASCII, without their accents."""

_SMALL_CAPITALS = frozenset("внтκτηωχεβ")
"""Letters that can be taken for a Latin one in a word on its own, but not in a sentence of their script."""

_REPEATING = frozenset("ー々")
"""Signs that lengthen or repeat the letter before them; ordinary in Japanese, never plain on their own."""

_NEUTRAL = frozenset(" .,:;!?'\"-")
"""What may stand between right-to-left letters without changing places with anything."""


def reveal(text: str) -> str:
    r"""Write a text so that every character is visible; line breaks stay.

    A backslash that would begin something that looks like our own writing is written out too, so every `\u{…}` in the
    result is one of ours.
    """
    return "\n".join(_line(line) for line in text.split("\n"))


def unreveal(text: str) -> str:
    """Undo `reveal`."""
    return ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), text)


def escape(char: str) -> str:
    r"""One character as `\u{…}`."""
    return f"\\u{{{ord(char):04X}}}"


def mixes_scripts(text: str) -> bool:
    """Whether a word of the text holds letters of several scripts."""
    return not text.isascii() and any(is_word and _writing(word) is None for is_word, word in _runs(text))


def pages(text: str, limit: int) -> Iterator[str]:
    """Cut a revealed text into pages of at most `limit` UTF-16 units, at line ends where there are some, never inside
    a character written out.

    Raises:
        ValueError: `limit` is below `LEAST_PAGE`.
    """
    if limit < LEAST_PAGE:
        raise ValueError(f"a page of {limit} characters is too small; at least {LEAST_PAGE}")
    start = 0
    while start < len(text):
        end = _fitting(text, start, limit)
        if end < len(text):
            line_end = text.rfind("\n", start, end) + 1
            # A line too long for any page is cut anyway: do not leave most of a page empty before it.
            kept = line_end > start and (2 * (line_end - start) > end - start or _fits_whole(text, line_end, limit))
            end = line_end if kept else _outside_escape(text, start, end)
        yield text[start:end]
        start = end


def _line(line: str) -> str:
    if line.isascii():
        return _OF_ASCII.sub(lambda found: escape(found.group()), line)
    one_way = all(char in _NEUTRAL or (_turns(char) and _is_plain(char)) for char in line)
    runs = list(_runs(line))
    evident = {_writing(word) for is_word, word in runs if is_word and any(map(_is_clear, word))}
    shown: list[str] = []
    for is_word, run in runs:
        if is_word:
            foreign = _keeps_foreign(run, evident)
            shown += [char if _stays(char, foreign, one_way) else escape(char) for char in run]
        else:
            shown += [char if " " <= char <= "~" else escape(char) for char in run]
    for found in _IMITATION.finditer(line):
        shown[found.start()] = escape("\\")
    return "".join(shown)


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """Words, and what stands between them."""
    for is_word, run in groupby(text, key=lambda char: _script(char) != ""):
        yield is_word, "".join(run)


def _writing(word: str) -> str | None:
    """The one way of writing a word's letters belong to, if it is one."""
    scripts = {_script(char) for char in set(word)}
    if len(scripts) == 1:
        return scripts.pop()
    return next((" ".join(sorted(together)) for together in _TOGETHER if scripts <= together), None)


def _keeps_foreign(word: str, evident: set[str | None]) -> bool:
    """Whether the letters of a script other than Latin may stay in a word."""
    writing = _writing(word)
    if writing is None:
        return False
    return any(map(_is_clear, word)) or (writing in evident and any(map(_is_small_capital, word)))


def _stays(char: str, foreign: bool, one_way: bool) -> bool:
    """Whether a letter may stay in its word."""
    if char.isascii():
        return True
    if not _is_plain(char):
        return False
    return _script(char) == "LATIN" or (foreign and (one_way or not _turns(char)))


@lru_cache(maxsize=1 << 16)
def _script(char: str) -> str:
    """The script of a letter by the first word of its name; empty for everything else."""
    if not _UNICODE.category(char).startswith("L"):
        return ""
    first = _UNICODE.name(char, "UNNAMED").replace("-", " ").split(" ", 1)[0]
    return "CJK" if first == "IDEOGRAPHIC" else first


@lru_cache(maxsize=1 << 16)
def _is_plain(char: str) -> bool:
    """Whether a letter beyond ASCII is one that may stay, given the right company."""
    if _UNICODE.category(char) not in ("Ll", "Lu", "Lo") and char not in _REPEATING:
        return False
    if _script(char) not in _WRITTEN_TODAY or _UNICODE.normalize("NFKC", char) != char:
        return False
    match _script(char):
        case "LATIN":
            return char in _STROKED or _base(char).isascii()
        case "HANGUL":  # whole syllables: parts join into what looks exactly like one, and some parts are invisible
            return "\uac00" <= char <= "\ud7a3"
    return True


@lru_cache(maxsize=1 << 16)
def _is_clear(char: str) -> bool:
    """Whether a plain letter of a script other than Latin looks like no Latin one."""
    script, base = _script(char), _base(char)
    if script == "LATIN" or char in _REPEATING or not _is_plain(char):
        return False
    return base not in _LOOKALIKES.get(script, ()) and base not in _SMALL_CAPITALS


def _is_small_capital(char: str) -> bool:
    return _base(char) in _SMALL_CAPITALS and _is_plain(char)


def _base(char: str) -> str:
    """A letter without its accents."""
    return _UNICODE.normalize("NFD", char)[0]


def _turns(char: str) -> bool:
    """Whether a letter is read from right to left, and so pulls what stands next to it round."""
    return _UNICODE.bidirectional(char) in ("R", "AL")


def _fitting(text: str, start: int, limit: int) -> int:
    """Where a page that begins at `start` has to end at the latest."""
    end = min(len(text), start + limit)
    units = end - start if (part := text[start:end]).isascii() else len(part.encode("utf-16-le")) // 2
    while units > limit:
        end -= 1
        units -= 2 if ord(text[end]) > 0xFFFF else 1
    return end


def _fits_whole(text: str, start: int, limit: int) -> bool:
    line_end = text.find("\n", start) + 1
    return _fitting(text, start, limit) >= line_end


def _outside_escape(text: str, start: int, end: int) -> int:
    """The nearest place at or before `end` that is not inside a character written out."""
    for at in range(max(start, end - 9), end):
        found = ESCAPE.match(text, at)
        if found is not None and found.end() > end:
            return at
    return end
