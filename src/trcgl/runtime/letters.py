"""Look-alike letters: a name with one of them is a different name, but a reader cannot see the difference.

The rule is a less strict form of Unicode's report 39 (https://www.unicode.org/reports/tr39/). A word must not mix
alphabets that look alike (Latin, Greek, Cyrillic and their relatives). Latin letters must not be written in their wide,
mathematical, joined or phonetic forms. Latin beside Chinese, Arabic or similar scripts is common and allowed.
"""

import re
import unicodedata
from collections.abc import Sequence

# Line breaks and tabs are not included, because they separate values
SPACES = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
JOINERS = re.compile("[\u200c\u200d]")
UNSEEN = re.compile("[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")

ALPHABETS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "GOTHIC", "DESERET", "OSAGE")
"""With letters that look Latin, as Unicode's names of letters begin."""
_SAME = {
    "A": "\u0410\u0391\u13aa\ua4ee", "B": "\u0412\u0392\u13f4\ua4d0", "C": "\u0421\u03f9\u216d\u13df\ua4da",
    "D": "\u13a0\ua4d3", "E": "\u0415\u0395\u13ac\ua4f0", "F": "\u03dc\ua4dd", "G": "\u050c\u13c0\ua4d6",
    "H": "\u041d\u0397\u13bb\ua4e7", "I": "\u0406\u0399\u04c0\ua4f2", "J": "\u0408\u037f\u13ab\ua4d9",
    "K": "\u041a\u039a\u13e6\ua4d7", "L": "\u13de\ua4e1", "M": "\u041c\u039c\u13b7\ua4df", "N": "\u039d\ua4e0",
    "O": "\u041e\u039f\u0555\ua4f3", "P": "\u0420\u03a1\u13e2\ua4d1", "Q": "\u051a", "R": "\u13a1\ua4e3",
    "S": "\u0405\u054f\u13da\ua4e2", "T": "\u0422\u03a4\u13a2\ua4d4", "U": "\u054d\ua4f4", "V": "\u0474\u13d9\ua4e6",
    "W": "\u051c\u13b3\ua4ea", "X": "\u0425\u03a7\ua4eb", "Y": "\u04ae\u03a5\ua4ec", "Z": "\u0396\u13c3\ua4dc",
    "a": "\u0430", "c": "\u0441\u03f2", "d": "\u0501", "e": "\u0435", "g": "\u0581", "h": "\u04bb\u0570",
    "i": "\u0456", "j": "\u0458\u03f3", "l": "\u04cf", "n": "\u0578", "o": "\u043e\u03bf\u0585", "p": "\u0440",
    "q": "\u051b\u0566", "s": "\u0455", "u": "\u057d", "w": "\u051d\u0461", "x": "\u0445", "y": "\u0443\u04af",
}  # fmt: skip
SAME = str.maketrans({letter: latin for latin, letters in _SAME.items() for letter in letters})
"""Letters of other alphabets that are drawn as a Latin one."""
_PHONETIC = {
    "a": "\u0251\u1d00", "b": "\u0299", "c": "\u1d04", "d": "\u1d05", "e": "\u1d07", "g": "\u0261\u0262", "h": "\u029c",
    "i": "\u0269\u026a", "j": "\u1d0a", "k": "\u1d0b", "l": "\u029f", "m": "\u1d0d", "n": "\u0274", "o": "\u1d0f",
    "p": "\u1d18", "r": "\u0280", "s": "\ua731", "t": "\u1d1b", "u": "\u1d1c", "v": "\u1d20", "w": "\u1d21",
    "y": "\u028f", "z": "\u1d22",
}  # fmt: skip
PHONETIC = str.maketrans({letter: latin for latin, letters in _PHONETIC.items() for letter in letters})
LIKE = str.maketrans(
    dict.fromkeys("\u0432", "b") | dict.fromkeys("\u043d", "h") | dict.fromkeys("\u043a\u03ba", "k")
    | dict.fromkeys("\u043c", "m") | dict.fromkeys("\u0442\u03c4", "t") | dict.fromkeys("\u03b1", "a")
    | dict.fromkeys("\u03c1", "p") | dict.fromkeys("\u03b9", "i") | dict.fromkeys("\u03bd", "v")
)  # fmt: skip
"""Letters that are taken for a Latin one only beside others."""
FORMS = ("<wide>", "<font>", "<circle>", "<square>")
"""By which Unicode says that a sign is a form of a letter; a raised one, as in 1\u00aa, is meant."""
WORD = re.compile(r"[^\W\d_]+")


def odd_letters(text: str) -> str:
    """What is wrong with the letters of a name, and what would be right; "" if nothing is wrong.

    Args:
        text: the name in Unicode's composed form.
    """
    if text.isascii():
        return ""
    for part in text.split():
        odd = next((sign for sign in part if _form_of(sign)), "")
        if odd and _is_of(ALPHABETS, _without_forms(part)):
            return f"has {_named(odd)}, a form of plain letters; write '{plainly(text)}'"
    words = WORD.findall(_without_accents(text))
    alphabets = [_alphabets(word) for word in words]
    for found in alphabets:
        if len(found) > 1:
            # The first letter of the rarer alphabet
            few, most = (choose(found, key=lambda name: len(found[name])) for choose in (min, max))
            return f"has {_named(found[few][0])} in a {most.capitalize()} word; {_remedy(text)}"
    strange = "".join(words).translate(SAME)
    for word, found in zip(words, alphabets, strict=True):
        # Not if another word is really written in that alphabet
        disguised = "LATIN" not in found and word.translate(SAME) != word and not found.keys() & _alphabets(strange)
        if disguised and any("LATIN" in one for one in alphabets):
            return f"has {_named(word[0])} among Latin words; {_remedy(text)}"
    return ""


def disguise(text: str) -> str:
    """The Latin text that a text in another alphabet looks like, if all its letters look Latin; otherwise ""."""
    plain = text.translate(SAME)
    return plain if plain != text and _is_of(("LATIN",), plain) and not odd_letters(text) else ""


def plainly(text: str) -> str:
    """The text in plain Latin letters if all its letters are or look Latin; otherwise the text as it is."""
    if text.isascii():
        return text
    plain = _without_forms(text).translate(SAME | LIKE)
    return plain if _is_of(("LATIN",), plain) else text


def seen_as(text: str) -> str:
    """An explanation to put after a quoted text that has look-alike letters, with their names; "" if it has none."""
    text = unicodedata.normalize("NFC", text)
    wrong = odd_letters(text) or (f"has {_named(text[0])}, and only looks Latin" if disguise(text) else "")
    return f" ({wrong})" if wrong else ""


def _remedy(text: str) -> str:
    right = plainly(text)
    return f"write '{right}'" if right != text else "write each word in one alphabet"


def _named(letter: str) -> str:
    return f"the letter '{letter}' (U+{ord(letter):04X}, {unicodedata.name(letter, 'unnamed').lower()})"


def _without_accents(text: str) -> str:
    """The text without combining accents, which would otherwise split a word."""
    return "".join(sign for sign in text if not "\u0300" <= sign <= "\u036f")


def _form_of(sign: str) -> str:
    """The plain letters of which a sign is a special form; "" if it is plain itself."""
    if sign.isascii():
        return ""
    if ord(sign) in PHONETIC:
        return sign.translate(PHONETIC)
    tag = unicodedata.decomposition(sign).split(" ", 1)[0]
    plain = unicodedata.normalize("NFKC", sign)
    joined = tag == "<compat>" and len(plain) > 1
    return plain if (tag in FORMS or joined) and plain.isalpha() and plain.isascii() else ""


def _without_forms(text: str) -> str:
    return "".join(_form_of(sign) or sign for sign in text)


def _is_of(alphabets: Sequence[str], text: str) -> bool:
    """Whether all letters of a text belong to these alphabets."""
    return all(_alphabet(letter) in alphabets for word in WORD.findall(_without_accents(text)) for letter in word)


def _alphabet(letter: str) -> str:
    return "LATIN" if letter.isascii() else unicodedata.name(letter, "").split(" ", 1)[0]


def _alphabets(word: str) -> dict[str, list[str]]:
    """The letters of a word grouped by alphabet; only alphabets in ALPHABETS are included."""
    found: dict[str, list[str]] = {}
    for letter in word:
        if (name := _alphabet(letter)) in ALPHABETS:
            found.setdefault(name, []).append(letter)
    return found


def clean_text(text: str) -> str:
    """The text without invisible differences, so that texts that look the same are the same.

    The result is composed (Unicode NFC) and stripped. No-break, thin and repeated spaces become one plain space. Marks
    without width (zero-width space, byte order mark, soft hyphen, writing direction) are removed, but joiners stay in
    scripts that need them.
    """
    if text.isascii():
        return re.sub(" +", " ", text).strip()
    joined = text if any(_needs_joiners(character) for character in text) else JOINERS.sub("", text)
    return SPACES.sub(" ", unicodedata.normalize("NFC", UNSEEN.sub("", joined))).strip()


def _needs_joiners(character: str) -> bool:
    return character.isalpha() and ord(character) > 0x5FF


def letters_of(name: str) -> str:
    """The letters and digits of a name, without capitals and without separators between words."""
    return re.sub(r"[\W_]+", "", plainly(name).casefold())
