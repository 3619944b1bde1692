"""Plausible values by the name and type of a column, from a repeatable source of chance.

Everything here is made from `Draw.random` alone: the same seed gives the same values on every machine and Python
version (`random.Random.random` is the one method whose sequence Python promises to keep; documentation of
`random`, "Notes on Reproducibility").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.values import Value

_T = TypeVar("_T")

START = 1_736_150_400
"""The moment of the first row, 2025-01-06T08:00:00Z, in seconds of Unix time."""
SPAN_SECONDS = 300 * 86_400
"""The rows of a table are spread over so many seconds."""


class Draw:
    """A repeatable source of chance, and the row that is being made: its number and its moment."""

    __slots__ = ("_elapsed", "moment", "random", "serial")

    def __init__(self, seed: str) -> None:
        self.random = Random(seed).random  # noqa: S311 - sample values are to be repeatable, not secret
        self.serial = 0
        self.moment = START
        self._elapsed = 0

    def begin_row(self, serial: int, of: int) -> None:
        """Begin row number `serial` (from 0) of about `of`."""
        step = SPAN_SECONDS // max(of, 1)
        self.serial = serial
        self.moment = START + serial * step + self.below(step)
        self._elapsed = 0

    def below(self, limit: int) -> int:
        """Return an integer from 0 to `limit` - 1."""
        return int(self.random() * limit)

    def between(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, choices: Sequence[_T]) -> _T:
        """Return one of `choices`."""
        return choices[int(self.random() * len(choices))]

    def text(self, alphabet: str, length: int) -> str:
        """Return `length` characters of `alphabet`."""
        return "".join([self.pick(alphabet) for _ in range(length)])

    def hexadecimal(self, digits: int) -> str:
        """Return so many lower-case hexadecimal digits."""
        words = [f"{int(self.random() * 0x100000000):08x}" for _ in range(-(-digits // 8))]
        return "".join(words)[:digits]

    def later(self) -> int:
        """Return a moment of this row, later than all that were returned before, in seconds of Unix time."""
        self._elapsed += self.between(60, 259_200)
        return self.moment + self._elapsed


Source: TypeAlias = Callable[[Draw], "Value"]
"""Makes one value."""


class Affinity(StrEnum):
    """What a column's declared type makes of values (SQLite documentation, "Datatypes", section 3.1)."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    NUMERIC = "numeric"
    BLOB = "blob"
    ANY = "any"
    """No declared type, or ANY: values of every class are at home."""


def affinity_of(declared: str) -> Affinity:
    """Return the affinity of a declared type."""
    name = declared.upper()
    if name in ("", "ANY"):
        return Affinity.ANY
    for affinity, marks in _MARKS:
        if any(mark in name for mark in marks):
            return affinity
    return Affinity.NUMERIC


_MARKS = (
    (Affinity.INTEGER, ("INT",)),
    (Affinity.TEXT, ("CHAR", "CLOB", "TEXT")),
    (Affinity.BLOB, ("BLOB",)),
    (Affinity.REAL, ("REAL", "FLOA", "DOUB")),
)

FIRST = ("Ada", "Ben", "Chloé", "Dario", "Elif", "Farah", "Grace", "Hugo", "Ines", "Jonas", "Keiko", "Łukasz",
         "Maya", "Nils", "Olu", "Priya", "Quinn", "Rosa", "Samir", "Tess", "Uma", "Victor", "Wen", "Zoë")  # fmt: skip
LAST = ("Adeyemi", "Brandt", "Castillo", "Dubois", "Eriksen", "Fontaine", "García", "Haddad", "Ivanova", "Jansen",
        "Kowalski", "Lindqvist", "Moreau", "Nakamura", "O'Brien", "Petrov", "Rossi", "Sørensen", "Tanaka",
        "Underwood", "Varga", "Weber", "Young", "Zhang")  # fmt: skip
ADJECTIVES = ("amber", "broken", "crystal", "distant", "electric", "fading", "golden", "hollow", "indigo", "late",
              "lunar", "midnight", "neon", "northern", "paper", "quiet", "restless", "silver", "slow", "velvet",
              "wandering", "wild", "winter", "yellow")  # fmt: skip
NOUNS = ("arcade", "avenue", "bridge", "canyon", "echo", "ember", "field", "garden", "harbour", "horizon", "lantern",
         "letter", "meadow", "mirror", "ocean", "orchard", "river", "satellite", "season", "shadow", "signal",
         "station", "summer", "window")  # fmt: skip
CITIES = ("Amsterdam", "Austin", "Berlin", "Bristol", "Chicago", "Dakar", "Glasgow", "Kraków", "Lagos", "Lisbon",
          "Lyon", "Manchester", "Melbourne", "Montréal", "Nashville", "Oslo", "Porto", "São Paulo", "Seoul",
          "Tallinn", "Tokyo", "Toronto", "Valencia", "Zürich")  # fmt: skip
GENRES = ("ambient", "blues", "classical", "country", "folk", "funk", "hip-hop", "house", "indie", "jazz", "metal",
          "pop", "reggae", "rock", "soul", "techno")  # fmt: skip
SENTENCES = ("Doors open at eight; the first set is at nine.", "It's louder than the record, and better.",
             "Recorded in one take on a borrowed four-track.", "Please send the rider by Friday.",
             "Half the crowd knew every word.", "We'd love to play here again next spring.",
             "Mixed at home, mastered in Malmö.", 'They call it "the small room", and it is.',
             "Looking for a drummer who can read charts.", "Parking is behind the building.",
             "Two encores, no setlist, one broken string.",
             "Merch table needs a socket \N{EM DASH} thanks!")  # fmt: skip

ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"
DIGITS = "0123456789"


def one_of(*choices: Value) -> Source:
    """Return the source of these values alone."""
    return lambda draw: draw.pick(choices)


def _number(low: int, high: int) -> Source:
    return lambda draw: draw.between(low, high)


def _fraction(low: float, high: float, digits: int) -> Source:
    return lambda draw: round(low + draw.random() * (high - low), digits)


def _person(draw: Draw) -> str:
    return f"{draw.pick(FIRST)} {draw.pick(LAST)}"


def _handle(draw: Draw) -> str:
    return f"{draw.pick(ADJECTIVES)}_{draw.pick(NOUNS)}{draw.below(1_000_000)}"


def _email(draw: Draw) -> str:
    return f"{draw.pick(ADJECTIVES)}.{draw.pick(NOUNS)}.{draw.text(ALPHANUMERIC, 5)}@example.com"


def _title(draw: Draw) -> str:
    return f"{draw.pick(ADJECTIVES)} {draw.pick(NOUNS)}".title()


def _slug(draw: Draw) -> str:
    return f"{draw.pick(ADJECTIVES)}-{draw.pick(NOUNS)}-{draw.text(ALPHANUMERIC, 4)}"


def _sentences(draw: Draw) -> str:
    return " ".join([draw.pick(SENTENCES) for _ in range(draw.between(1, 3))])


def uuid(draw: Draw) -> str:
    """Return a random UUID in its usual form."""
    digits = draw.hexadecimal(32)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def json_object(draw: Draw) -> str:
    """Return a small JSON object."""
    return (
        f'{{"theme":"{draw.pick(ADJECTIVES)}","limit":{draw.below(100_000)},"flags":["{draw.pick(NOUNS)}",null,true]}}'
    )


def json_array(draw: Draw) -> str:
    """Return a JSON array of up to three texts."""
    return "[" + ",".join([f'"{draw.pick(NOUNS)}"' for _ in range(draw.below(4))]) + "]"


def blob(draw: Draw) -> bytes:
    """Return up to 32 bytes."""
    return bytes.fromhex(draw.hexadecimal(2 * draw.between(1, 32)))


_TEXT_RULES: tuple[tuple[str, Source], ...] = (
    ("e?mail|email_address", _email),
    ("phone|mobile|msisdn|fax", lambda draw: "+1555" + draw.text(DIGITS, 7)),
    ("uuid|guid", uuid),
    ("sha1", lambda draw: draw.hexadecimal(40)),
    ("md5|etag", lambda draw: draw.hexadecimal(32)),
    ("sha256|hash|checksum|digest|tokens?|secret|password|signature|nonce", lambda draw: draw.hexadecimal(64)),
    ("isrc", lambda draw: "USUMB" + draw.text(DIGITS, 7)),
    ("musical_key", lambda draw: f"{draw.pick('ABCDEFG')} {draw.pick(('major', 'minor'))}"),
    ("key", lambda draw: f"{draw.pick(NOUNS)}/{draw.hexadecimal(16)}"),
    (
        "url|uri|link|links|website|homepage|webhook|avatar|image|photo|picture|cover|thumbnail|logo",
        lambda draw: f"https://example.com/{draw.pick(NOUNS)}/{draw.hexadecimal(8)}",
    ),
    ("first_name|given_name", one_of(*FIRST)),
    ("last_name|family_name|surname", one_of(*LAST)),
    ("user_?name|handle|nick|nickname|login|screen_name", _handle),
    ("file_?name|path", lambda draw: f"{draw.pick(ADJECTIVES)}_{draw.pick(NOUNS)}_{draw.below(10_000)}.wav"),
    (
        "(?:display|full|real|contact|reviewer|recipient|customer|author|sender|owner|member)_name"
        r"|(?:users?|people|persons?|customers?|authors?|members?|employees?|contacts?)\.name",
        _person,
    ),
    ("slug|permalink", _slug),
    ("timezone|time_zone|tz", one_of("UTC", "Europe/Berlin", "America/Chicago", "Asia/Tokyo")),
    ("currency", one_of("USD", "EUR", "GBP", "CAD", "AUD")),
    ("country_code|country", one_of("US", "DE", "FR", "GB", "JP", "BR", "NG", "PL")),
    ("city|town", one_of(*CITIES)),
    ("ip|ip_address", lambda draw: f"203.0.113.{draw.below(256)}"),
    ("street|address", lambda draw: f"{draw.between(1, 250)} {draw.pick(NOUNS).title()} Street"),
    ("zip|postal|postcode|zip_code|postal_code", lambda draw: draw.text(DIGITS, 5)),
    ("locale|lang|language", one_of("en", "de", "fr", "pt-BR", "ja")),
    ("user_agent", one_of("Mozilla/5.0 (X11; Linux x86_64)", "curl/8.9.1")),
    ("mime|mime_type|content_type", one_of("audio/mpeg", "audio/wav", "image/png", "application/pdf")),
    ("colou?r", lambda draw: "#" + draw.hexadecimal(6)),
    ("cron|cron_expression|schedule", one_of("*/5 * * * *", "0 3 * * *", "30 6 * * 1")),
    ("version", lambda draw: f"{draw.below(4)}.{draw.below(20)}.{draw.below(10)}"),
    ("metadata|meta|settings|preferences|config|options|payload|json|attributes|properties|props", json_object),
    ("tags|genres|ids", json_array),
    ("genre", one_of(*GENRES)),
    ("status|state", one_of("active", "pending", "done", "archived")),
    ("role", one_of("member", "editor", "owner")),
    ("type|kind|category", one_of("standard", "special", "internal")),
    ("job|job_name", lambda draw: f"{draw.pick(ADJECTIVES)}_{draw.pick(NOUNS)}"),
    (
        "bio|about|description|summary|body|content|text|html|message|notes?|comment|excerpt|reason|reply|preview"
        "|error|feedback",
        _sentences,
    ),
    ("title|subject|headline|caption|name|label|topic|venue|company|organi[sz]ation", _title),
    ("id", lambda draw: draw.hexadecimal(24)),
)

_INTEGER_RULES: tuple[tuple[str, Source], ...] = (
    (r"(?:is|has|can|should|allow|notify)_\w*|enabled|active|verified|archived|public|private|pinned|completed",
     _number(0, 1)),
    (r"\w*hash(?:64)?", lambda draw: (draw.below(1 << 32) << 32 | draw.below(1 << 32)) - (1 << 63)),
    ("year", _number(1990, 2025)),
    ("month", _number(1, 12)),
    ("day", _number(1, 28)),
    ("age", _number(18, 80)),
    ("rating|stars|priority|step|segments|depth", _number(1, 5)),
    ("percent|percentage|progress", _number(0, 100)),
    ("attempts|retries", _number(0, 3)),
    ("price|amount|cost|total|cents|fee|salary|budget|revenue|balance|tax",
     lambda draw: draw.between(1, 500) * 100 - draw.below(2)),
    ("bytes|size", lambda draw: draw.below(50_000_000)),
    ("ms|duration|latency", _number(1, 600_000)),
    ("seconds|minutes|length", _number(1, 3600)),
    ("position|sort|sort_order|ordinal|rank|seq|sequence", lambda draw: draw.serial + 1),
)  # fmt: skip

_REAL_RULES: tuple[tuple[str, Source], ...] = (
    ("lat|latitude", _fraction(-90, 90, 6)),
    ("lon|lng|longitude", _fraction(-180, 180, 6)),
    ("price|amount|cost|total|fee|salary|budget|revenue|balance|tax", _fraction(1, 500, 2)),
    ("rating.*|score|stars", _fraction(1, 5, 1)),
    ("bpm|tempo", _fraction(60, 180, 1)),
    ("rate|ratio|share|probability", _fraction(0, 1, 4)),
)

_RULES = {Affinity.TEXT: _TEXT_RULES, Affinity.INTEGER: _INTEGER_RULES, Affinity.REAL: _REAL_RULES}

_TIME_NAME = re.compile(
    r"^date_|(?:_at|_until|_at(?:_unix)?_ms|(?:^|_)(?:date|timestamp|deadline|expires|expiry|created|updated|modified))$"
)
_DAY_NAME = re.compile(r"(?:^|_)(?:date|day|dob|birthday|on)$")
_FIRST_NAME = re.compile(r"^(?:created|inserted|added|joined|registered)")
_CLOCK = re.compile(r"current_|datetime\(|strftime\(|unixepoch\(|date\(", re.IGNORECASE)


def named(table: str, column: str, declared: str, default: str | None) -> Source | None:
    """Return the source that fits a column's name, declared type and default, or None when they say nothing."""
    affinity = affinity_of(declared)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower()
    if affinity in (Affinity.ANY, Affinity.BLOB):
        return None
    if "BOOL" in declared.upper():
        return _number(0, 1)
    if _is_time(name, declared, default or "") or (affinity is Affinity.TEXT and _DAY_NAME.search(name)):
        return _time(name, declared, default or "", affinity)
    rules = _RULES.get(affinity, _INTEGER_RULES)
    for words, source in rules:
        if re.search(rf"(?:^|_)(?:{words})(?:$|_)", name) or re.fullmatch(words, f"{table.lower()}.{name}"):
            return source
    return None


def _is_time(name: str, declared: str, default: str) -> bool:
    return bool(_TIME_NAME.search(name) or _CLOCK.search(default) or re.search("DATE|TIME", declared.upper()))


def _time(name: str, declared: str, default: str, affinity: Affinity) -> Source:
    is_first = bool(_FIRST_NAME.search(name))

    def seconds(draw: Draw) -> int:
        return draw.moment if is_first else draw.later()

    if affinity is Affinity.INTEGER:
        factor = 1000 if name.endswith("_ms") or "1000" in default else 1
        return lambda draw: seconds(draw) * factor
    if affinity is Affinity.REAL:
        return lambda draw: float(seconds(draw))
    is_day = declared.upper() == "DATE" or bool(_DAY_NAME.search(name)) or "current_date" in default.lower()
    if is_day:
        return lambda draw: iso(seconds(draw))[:10]
    is_spaced = "strftime" not in default.lower() and bool(_CLOCK.search(default) or "TIME" in declared.upper())
    if is_spaced:
        return lambda draw: iso(seconds(draw)).replace("T", " ")
    return lambda draw: iso(seconds(draw)) + "Z"


def iso(seconds: int) -> str:
    """Return a moment as `YYYY-MM-DDTHH:MM:SS`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


_BY_CLASS: dict[Affinity, Source] = {
    Affinity.TEXT: lambda draw: f"{draw.pick(ADJECTIVES)} {draw.pick(NOUNS)}",
    Affinity.INTEGER: _number(0, 1000),
    Affinity.REAL: lambda draw: draw.random() * 1000,
    Affinity.NUMERIC: lambda draw: draw.between(0, 1000) if draw.random() < 0.5 else round(draw.random() * 100, 2),
    Affinity.BLOB: blob,
}


def typed(declared: str) -> Source:
    """Return the source for a column of which only the declared type is known."""
    affinity = affinity_of(declared)
    if affinity is not Affinity.ANY:
        return _BY_CLASS[affinity]
    classes = (Affinity.INTEGER, Affinity.TEXT, Affinity.REAL, Affinity.BLOB)
    return lambda draw: _BY_CLASS[classes[draw.serial % len(classes)]](draw)


NUMBERS: tuple[Source, ...] = (
    one_of(0),
    one_of(1),
    one_of(-1),
    _number(2, 9),
    _number(1_000, 1_000_000),
    lambda draw: draw.moment,
    _number(10**12, 10**15),
    _fraction(0, 1, 6),
    lambda draw: -draw.random() * 1000,
)
"""Numbers of every size, tried when nothing better is known."""

SHAPES: tuple[Source, ...] = (
    lambda draw: draw.pick(NOUNS),
    lambda draw: draw.pick(NOUNS).upper(),
    _title,
    _handle,
    _email,
    _slug,
    uuid,
    lambda draw: draw.text(DIGITS, draw.between(1, 12)),
    lambda draw: draw.hexadecimal(draw.pick((6, 8, 16, 32, 40, 64))),
    lambda draw: iso(draw.moment)[:10],
    lambda draw: iso(draw.moment)[:7],
    lambda draw: iso(draw.moment).replace("T", " "),
    lambda draw: iso(draw.moment) + "Z",
    lambda draw: iso(draw.moment)[11:16],
    json_object,
    json_array,
    blob,
    lambda draw: "",
)
"""Texts of the forms that CHECKs ask for, and bytes, tried when nothing better is known."""
