"""What a tracked file is: its language by its name, and whether it is somebody else's, generated, or data."""

import re

OTHER = "Other"

_LANGUAGES = {
    "py": "Python", "pyi": "Python", "js": "JavaScript", "mjs": "JavaScript", "cjs": "JavaScript",
    "jsx": "JavaScript", "ts": "TypeScript", "tsx": "TypeScript", "go": "Go", "rs": "Rust", "c": "C", "h": "C",
    "cc": "C++", "cpp": "C++", "cxx": "C++", "hpp": "C++", "hh": "C++", "java": "Java", "kt": "Kotlin",
    "kts": "Kotlin", "scala": "Scala", "swift": "Swift", "cs": "C#", "rb": "Ruby", "php": "PHP", "pl": "Perl",
    "pm": "Perl", "lua": "Lua", "r": "R", "jl": "Julia", "hs": "Haskell", "ml": "OCaml", "ex": "Elixir",
    "exs": "Elixir", "erl": "Erlang", "clj": "Clojure", "dart": "Dart", "zig": "Zig", "sh": "Shell", "bash": "Shell",
    "zsh": "Shell", "ps1": "PowerShell", "sql": "SQL", "html": "HTML", "htm": "HTML", "css": "CSS", "scss": "CSS",
    "less": "CSS", "vue": "Vue", "svelte": "Svelte", "md": "Markdown", "markdown": "Markdown",
    "rst": "reStructuredText", "tex": "TeX", "json": "JSON", "yml": "YAML", "yaml": "YAML", "toml": "TOML",
    "ini": "INI", "cfg": "INI", "xml": "XML", "tf": "Terraform", "proto": "Protocol Buffers",
    "graphql": "GraphQL", "ipynb": "Jupyter",
}  # fmt: skip
_NAMES = {"makefile": "Make", "gnumakefile": "Make", "dockerfile": "Docker", "cmakelists.txt": "CMake"}

_OTHERS = re.compile(
    r"(?:^|/)(?:vendor|vendored|_vendor|third[-_]?party|node_modules|bower_components|site-packages|pods|\.yarn)/"
)
_GENERATED = re.compile(
    r"(?:[.-]min\.(?:js|css|mjs)|\.bundle\.js|\.map|\.lock|-lock\.(?:json|ya?ml)|go\.sum|_pb2\.py)$"
)
_SAMPLES = re.compile(
    r"(?:^|/)(?:testdata|test[-_]data|fixtures?|snapshots?|__snapshots__|goldens?|corpus|cassettes|samples?)/"
)
_DATA = (
    "csv tsv tab psv patch diff rej snap golden expected approved out log eml mbox svg ipynb pem crt cer key asc sig "
    "po pot srt vtt ics vcf geojson j2 jinja jinja2 tmpl tpl erb hbs mustache ejs"
)
_DATA_SUFFIXES = frozenset(_DATA.split())
_SAYS_GENERATED = re.compile(rb"@generated\b|\bDO NOT EDIT\b|\bautomatically generated\b", re.IGNORECASE)
_LONGEST_LINE_BYTES = 5_000


def suffix_of(path: str) -> str:
    """The end of a file's name after its last dot, in small letters; empty if it has none."""
    stem, dot, suffix = path.rpartition("/")[2].lower().rpartition(".")
    return suffix if dot and stem else ""


def language_of(path: str) -> str:
    """The language of a file, or `OTHER`."""
    name = path.rpartition("/")[2].lower()
    return _NAMES.get(name) or _LANGUAGES.get(suffix_of(path)) or OTHER


def hands_off_by_name(path: str) -> str | None:
    """Why a file is left alone because of its name, as a plural phrase; `None` if it is not."""
    low = path.lower()
    if _OTHERS.search(low):
        return "vendored"
    if _GENERATED.search(low):
        return "generated or minified"
    if _SAMPLES.search(low) or suffix_of(low) in _DATA_SUFFIXES:
        return "data or samples, where white space may count"
    return None


def hands_off_by_content(data: bytes) -> str | None:
    """Why a file is left alone because of what is in it; `None` if it is not."""
    if b"\0" in data:
        return "binary"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "not in UTF-8"
    if _SAYS_GENERATED.search(data[:2048]) or _has_a_long_line(data):
        return "generated or minified"
    return None


def _has_a_long_line(data: bytes) -> bool:
    return any(len(line) > _LONGEST_LINE_BYTES for line in data.split(b"\n"))
