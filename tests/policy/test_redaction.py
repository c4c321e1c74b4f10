"""Redaction: known kinds of secrets are replaced, ordinary text is not changed, in linear time."""

from __future__ import annotations

import base64
import json
import random

import pytest

from memoryos.config import Config
from memoryos.errors import ConfigError, InputError
from memoryos.redaction import MAX_PATTERNS, NO_REDACTION, Redactor, read_detectors
from memoryos.secret_shapes import BUILT_IN
from tests.waiting import cpu_seconds

REDACTOR = Redactor(read_detectors({}))
JWT = ".".join(
    base64.urlsafe_b64encode(each).decode().rstrip("=")
    for each in (b'{"alg":"HS256"}', b'{"sub":"1234567890"}', b"x" * 32)
)
PEM = "-----BEGIN {0}PRIVATE KEY-----\nMIIEpAIBAAKCAQEAtest0\n9vZ1\n-----END {0}PRIVATE KEY-----"


def token(prefix: str, length: int, alphabet: str = "aB3dE5fG7hJ9") -> str:
    return prefix + (alphabet * 20)[:length]


SECRETS = [
    ("token", token("AKIA", 16, "QWERTZ12")),
    ("token", token("ghp_", 36)),
    ("token", token("github_pat_", 40)),
    ("token", token("glpat-", 20)),
    ("token", token("xoxb-", 30, "123-abc")),
    ("token", token("sk_live_", 24)),
    ("token", token("AIza", 35)),
    ("token", token("hf_", 34)),
    ("token", token("npm_", 36)),
    ("token", token("SG.", 22) + token(".", 43)),
    ("token", token("123456789:AA", 33)),
    ("token", "mos_01234567-89ab-7cde-8f01-23456789abcd_" + token("", 43)),
    ("token", JWT),
    ("api key", token("sk-proj-", 48)),
    ("private key", PEM.format("")),
    ("private key", PEM.format("RSA ")),
    ("private key", PEM.format("OPENSSH ").replace("\n", "\\n")),
    ("private key", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY"),
    ("card number", "4111111111111111"),
    ("card number", "5500-0000-0000-0004"),
    ("card number", "3782 822463 10005"),
    ("card number", "６０１１　１１１１　１１１１　１１１７"),
    ("IBAN", "DE89 3704 0044 0532 0130 00"),
    ("IBAN", "gb82west12345698765432"),
]
IN_CONTEXT = [
    ("postgres://app:s3cr3t@db:5432/x", "s3cr3t", "postgres://app:[redacted password]@db:5432/x"),
    ("redis://:p@ss@cache", "p@ss", "redis://:[redacted password]@cache"),
    ("password: swordfish", "swordfish", "password: [redacted password]"),
    ("DB_PASSWORD=Tr0ub4dor&mode=x", "Tr0ub4dor", "DB_PASSWORD=[redacted password]&mode=x"),
    ('{"password": "two words", "user": "ann"}', "two words", '{"password": "[redacted password]", "user": "ann"}'),
    ("<password>abc123</password>", "abc123", "<password>[redacted password]</password>"),
    ("my password is hunter2.", "hunter2", "my password is [redacted password]."),
    ("Mein Passwort ist 'Sommer'", "Sommer", "Mein Passwort ist '[redacted password]'"),
    ("密码：abc12345", "abc12345", "密码：[redacted password]"),
    ("mysql --password hunter2", "hunter2", "mysql --password [redacted password]"),
    ("api_key = q8w7e6r5t4z3", "q8w7e6r5t4z3", "api_key = [redacted key]"),
    ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "Authorization: Basic [redacted token]"),
    ("curl -H 'Bearer abcd1234abcd1234'", "abcd1234abcd1234", "curl -H 'Bearer [redacted token]'"),
]
ORDINARY = [
    "The password is required, and the token has expired.",
    "Password: the one that you wrote down",
    "password = os.environ['DB_PASSWORD'] or getpass()",
    "Set API_KEY=${API_KEY} and token=<your token>.",
    "He was the bearer of responsibilities and good-natured explanations.",
    "I sent the password to ann@example.com yesterday.",
    "Call +4917612345678 or 030 1234 5678; the order is 4111 1111 1111 1112.",
    "It took 0.4111111111111111 seconds; now is 1700000000000.",
    "id 0190a1b2-1234-7123-8123-123456789012, sha 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "see https://host:8080/path@v2 and https://example.com/?q=a:b@c",
    "The file starts with a BEGIN line. sk-learn is a typo for scikit-learn-and-its-friends.",
    "DE12 is no account, and AB12 3456 7890 1234 5678 is none either.",
]


@pytest.mark.parametrize(("name", "secret"), SECRETS)
def test_secret_is_replaced_and_its_context_is_kept(name: str, secret: str) -> None:
    for before, after in (("", ""), ("It is ", ", keep it."), ("这是", "。"), ("(", ")"), ("2024 ", "\nthanks")):
        assert REDACTOR.text(f"{before}{secret}{after}") == f"{before}[redacted {name}]{after}"


@pytest.mark.parametrize(("text", "secret", "expected"), IN_CONTEXT)
def test_assigned_value_is_replaced(text: str, secret: str, expected: str) -> None:
    assert REDACTOR.text(text) == expected
    assert secret not in expected


@pytest.mark.parametrize("text", ORDINARY)
def test_text_without_secrets_is_not_changed(text: str) -> None:
    assert REDACTOR.text(text) == text


def test_redaction_is_idempotent() -> None:
    texts = [*(text for text, _, _ in IN_CONTEXT), *(secret for _, secret in SECRETS)]
    for text in [*texts, " ".join(texts), *(f"password: {secret}" for _, secret in SECRETS)]:
        once = REDACTOR.text(text)
        assert REDACTOR.text(once) == once


def test_every_detector_finds_something_in_the_examples() -> None:
    texts = [*(text for text, _, _ in IN_CONTEXT), *(secret for _, secret in SECRETS), "api key abcdefgh12345678"]
    for detector in BUILT_IN:
        alone = Redactor([detector])
        assert any(alone.text(text) != text for text in texts), detector.pattern


def test_number_with_wrong_checksum_is_not_replaced() -> None:
    for number in range(10):
        card = f"411111111111111{number}"
        assert (REDACTOR.text(card) != card) is (number == 1)
    assert REDACTOR.text("DE88 3704 0044 0532 0130 00") == "DE88 3704 0044 0532 0130 00"


def test_metadata_is_redacted_by_content_and_by_name_but_not_its_ids() -> None:
    card = "4111111111111111"
    value = {"note": [f"card {card}"], card: 1, "password": "abc", "answered_from_ids": [card], "n": 5, "none": None}
    assert REDACTOR.value(value) == {
        "note": ["card [redacted card number]"],
        "[redacted card number]": 1,
        "password": "[redacted password]",
        "answered_from_ids": [card],
        "n": 5,
        "none": None,
    }


def test_own_patterns_replace_their_first_group_or_the_match() -> None:
    redactor = Redactor(read_detectors({"staff number": r"\bEMP-\d{4}\b", "门牌": r"号码(\d+)"}))
    assert redactor.text("EMP-1234 住在 号码77") == "[redacted staff number] 住在 号码[redacted 门牌]"
    assert redactor.text("4111111111111111") == "[redacted card number]"


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ({"a": "(?=x)"}, "not valid in RE2"),
        ({"a": r"(x)\1"}, "not valid in RE2"),
        ({"a": "("}, "not valid in RE2"),
        ({"a": "x*"}, "empty text"),
        ({"a": "x" * 1_001}, "1,001 characters"),
        ({"": "x"}, "the name must consist"),
        ({"a]b": "x"}, "the name must consist"),
        ({"a" * 41: "x"}, "the name must consist"),
        ({f"a{number}": "x" for number in range(MAX_PATTERNS + 1)}, "51 patterns"),
    ],
)
def test_invalid_pattern_raises_at_construction(patterns: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(redact_secrets=True, redaction_patterns=patterns)


def test_patterns_without_redaction_are_refused() -> None:
    with pytest.raises(ConfigError, match="patterns require redaction"):
        Config(redaction_patterns={"a": "x"})


def test_placeholders_cannot_make_a_text_too_long() -> None:
    with pytest.raises(InputError, match="longer than"):
        Redactor(read_detectors({"letter": "a"})).text("ab" * 1_500_000)
    assert Redactor(read_detectors({"letter": "a"})).text("a" * 1_000_000) == "[redacted letter]"


def test_redactor_without_detectors_changes_nothing() -> None:
    assert NO_REDACTION.text("4111111111111111") == "4111111111111111"
    assert not NO_REDACTION.is_on


FRAGMENTS = [
    *(text for text, _, _ in IN_CONTEXT), *(secret for _, secret in SECRETS), "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nDEK-Info: a\n",
    "-----END PRIVATE KEY-----", "PuTTY-User-Key-File-2: x\n", "password: ", "password is ", 'password="', "password=a&", "token ", "eyJaaaaaaaaaaa.",
    "4444 ", "4", "DE12 ", "a://b:c@", "://:@", "bearer ", "authorization: bearer ", "[redacted ", "[redacted x]", '\\"', "=> ", "A1", "１ ", "\n", "-",
]  # fmt: skip


def seconds(text: str) -> float:
    return cpu_seconds(lambda: REDACTOR.text(text), runs=4)


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_time_grows_linearly_with_the_text(fragment: str) -> None:
    text = fragment * (65_536 // len(fragment) + 1)
    assert seconds(text[:65_536]) < 3 * max(seconds(text[:32_768]), 0.005)


def test_random_texts_of_secrets_are_fully_redacted() -> None:
    chance = random.Random(7)  # noqa: S311  (made-up texts need no secret randomness)
    for _ in range(200):
        parts = [chance.choice(SECRETS)[1] for _ in range(3)]
        redacted = REDACTOR.text(json.dumps(" and ".join(parts), ensure_ascii=False))
        assert not [part for part in parts if part in redacted]
