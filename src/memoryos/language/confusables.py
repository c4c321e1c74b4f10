"""Skeletons of texts (Unicode Technical Standard 39), which detect characters that imitate other characters.

A skeleton is the text without invisible characters, in which each lookalike is replaced by the ASCII character that it
resembles, e.g. "а" (Cyrillic) by "a". Texts that look alike have the same skeleton. Skeletons are only matched against
patterns. They are never shown or stored.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

__all__ = ["skeleton", "skeleton_positions"]

_LOOKALIKES = {
    "a": "ɑαаᎪᗅᴀ⍶⍺ꓮ𐊠𖽀",
    "b": "ƀƃƅɓʙβбвьѣҍᏏᏴᑲᑳᖯᗷꓐꞵ𐊂𐊡𐌁",
    "c": "¢©ȼсҫᏟᴄ₡ⲥꓚ𐊢𐌂𐐽𐔜𑣩𑣲🅮🝌",
    "d": "ðđƌɖɗԁᎠᏧᑯᗞᗪᴅ₫∂ꓒꓓ",
    "e": "ɇεеҽҿᎬᴇ℮⋿ⴹꓰꬲ𐊆𑣆𑣎",
    "f": "ƒϝքᖴᵮẝꓝꜰꞙꬵ𐊇𐊥𐔥𑣂𝈓",
    "g": "ƍǥɠɡɢԍցᏀᏳᶃꓖ",
    "h": "ħɦʜηћңһӈӊհᎻᏂᏲᕼⱨⲏꓧꚕ𐋏",
    "i": "ıɨɩɪιіӏᎥᵻᵼ⍳⍸ꙇ𑣃",
    "j": "ɉʝϳјᎫᒍᴊꓙ",
    "k": "ƙκкқҟᏦᛕᴋ₭ⱪⲕꓗꝁ𐔘",
    "l": "łƚɫɭʟ۱Ꮮᒪᛁᣳⲓⳑⵏꓡꓲ𐊊𐌉𐌠𐑃𐔦𑣒𖼖𖼨𝈪",
    "m": "μϻмӎᎷᗰᛖᴍⲙꓟꭑ𐊰𐌑",
    "n": "ƞɲɳɴнпոռᵰⲛꓠ𐆎𐔓",
    "o": "øɵθοσоѳөօ۵०০੦૦ଠ୦௦౦೦ഠ൦๐໐တဝ၀ჿዐᎤᎾᏫᴏᴑ⊖⊝⍬ⲟⴱⵁⵔ〇ꓳꝋꬽꬾ𐊒𐊫𐐬𐓪𐔖𑓐𑣈𑣕𑣗𑣠𝈚🜔",
    "p": "ƥρрᏢᑭᣖᴘᵽ℗⍴ⲣꓑ𐊕",
    "r": "®ɍɼɽʀгғᎡᎱᏒᖇᣴᴦᵲⲅꓣꭇꭈ𐓜𖼵𝈖",
    "s": "ƽʂѕտᏕᏚᣵᵴꓢꜱ𐊖𐑈𑣁𖼺",
    "t": "ŧƫƭʈτтҭᎢᴛᵵ₮⊤⍡⟙ⱦⲧꓔ𐊗𐊱𐌕𑣜𖼊🝨",
    "u": "ʉʋυսሀᏌᑌᴜᵾ∪⋃ꓴꞟꭎꭒ𐓶𑣘𖽂",
    "v": "νѵ۷Ꮩᐯᴠ∨⋁ⴸꓦꛟ𐆗𐔝𑜆𑣀𖼈𝈍🜈",
    "w": "ɯѡѽԝաᎳᏔᴡ₩ꓪꝡ𑓅𑜊𑜎𑜏𑣦𑣯",
    "x": "×χхҳᕁᕽ᙭᙮ᚷ╳⤫⤬⨯⨰ⲭⵝꓫꭓ𐆖𐊐𐊴𐌗𐌢𐔧𑣬",
    "y": "¥ƴɏɣʏγуүұყᎩᎽᶌỿⲩꓬꭚ𐊲𑣄𖽃",
    "z": "ƶȥʐζᏃᙆᴢᵶꓜ𐋵𑣉𑣥",
    "<": "˂ᐸᚲ‹❬❮❰⟨⦑⧼〈𝈶",
    "\u00ab": "≪⟪⪡《",
    "/": "᜵⁁⁄∕╱⟋⧶⧸〳ノ丿",
    "|": "ǀ∣⏐⏽│┃▏❘❙❚",
    "[": "⁅❲⟦【〔〖〘",
    "_": "‿▁",
}  # fmt: skip
"""For each ASCII character, the case-folded characters that look like it, from Unicode's file confusables.txt."""
_PLAIN = {character: plain for plain, characters in _LOOKALIKES.items() for character in characters}
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols without a visible glyph: the Hangul fillers and the empty Braille pattern."""
_INVISIBLE = frozenset("CMZ")
"""First letters of the Unicode categories that are removed: control and format characters, marks, separators."""
_CACHED_CHARACTERS = 8_192


class _Table:
    """Table for ``str.translate``. It replaces lookalikes by ASCII characters and removes invisible characters."""

    def __getitem__(self, code: int) -> str:
        return _of_character(chr(code))


_TABLE = _Table()


def skeleton(text: str) -> str:
    """Returns the skeleton of a text, in linear time.

    The text is normalised (NFKD) and case-folded, white space and invisible characters are removed, and lookalikes are
    replaced by ASCII characters.
    """
    return text.translate(_TABLE)


def skeleton_positions(text: str) -> list[int]:
    """Maps positions in ``skeleton(text)`` to positions in ``text``.

    Returns:
        A list. Item i is the position in ``text`` of the character from which character i of the skeleton was made.
    """
    return [position for position, character in enumerate(text) for _ in _of_character(character)]


@lru_cache(maxsize=_CACHED_CHARACTERS)
def _of_character(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(_PLAIN.get(each, each) for each in decomposed if _is_visible(each))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in _INVISIBLE and character not in _BLANK
