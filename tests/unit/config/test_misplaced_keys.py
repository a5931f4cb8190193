"""A key pasted in the wrong place of callctl.yaml, of the command line or of the environment is not repeated."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest

from callctl.cli import common, run
from callctl.config.settings import SETTINGS, load_settings
from callctl.secrets.envelope.ring import load_key_ring

KEY = bytes.fromhex("f3a1c9d2e4b7508f6c1d3e5a7b9c0d2e4f6a8b1c3d5e7f90a2b4c6d8e0f1a3b5")
HEX = KEY.hex()


def groups(size: int, between: str) -> str:
    return between.join(HEX[at : at + size] for at in range(0, len(HEX), size))


FORMS = {
    "hex": HEX,
    "capitals": HEX.upper(),
    "0x": f"0x{HEX}",
    "one lost": HEX[:-1],
    "bytes": groups(2, " "),
    "colons": groups(2, ":"),
    "dashes": groups(8, "-"),
    "eights": groups(8, " "),
    "underscores": groups(16, "_"),
    "halves": groups(32, "-"),
    "base64": base64.b64encode(KEY).decode(),
    "base64url": base64.urlsafe_b64encode(KEY).decode().rstrip("="),
}

RING = "keys:\n  primary: k1\n  ring:\n    - "
# Where '@' is, the key is pasted: quoted, as YAML needs it, or bare.
PLACES = [
    "@: 1\n",
    "@\n",
    "@",
    "- @\n",
    "schema: a\n  @\n",
    "schema: [@\n",
    "schema: {@: @}\n",
    "schema: {a: @\n",
    "schema: &a@ b\nenvironment: *b@\n",
    "schema: !@ x\n",
    "schema: !!binary @\n",
    "schema: !!int @\n",
    "schema: !!timestamp @\n",
    "%@\n---\nschema: a\n",
    "schema: a\nschema : @\n",
    "schema: |\n @\n",
    "? [@]\n: 1\n",
    *(f"{setting.name}: @\n" for setting in SETTINGS if setting.name != "environment"),
    *(f"{setting.name}: [@]\n" for setting in SETTINGS),
    *(f"{setting.name}: {{@: 1}}\n" for setting in SETTINGS),
    *(f"{setting.name}: !!set {{@}}\n" for setting in SETTINGS),
    "keys: @\n",
    "keys: [@]\n",
    "keys: {@: 1}\n",
    "keys: {primary: @}\n",
    "keys: {primary: k1, ring: @}\n",
    "keys: {primary: k1, ring: [@]}\n",
    "keys: {primary: @, ring: [{id: k1, env: A}]}\n",
    "keys: {primary: [@], ring: [{id: k1, env: A}]}\n",
    f"{RING}{{id: @, env: A}}\n",
    f"{RING}{{id: k1, env: @}}\n",
    f"{RING}{{id: k1, env: [@]}}\n",
    f"{RING}{{id: k1, file: @}}\n",
    f"{RING}{{id: k1, file: dir/@}}\n",
    f"{RING}{{id: k1, command: @}}\n",
    f"{RING}{{id: k1, command: [@]}}\n",
    f"{RING}{{id: k1, command: [no-such-program, @]}}\n",
    f"{RING}{{id: k1, command: [{groups(8, ', ')}]}}\n",
    f"{RING}{{id: k1, env: A, legacy: @}}\n",
    f"{RING}{{id: k1, command: [a], show_stderr: @}}\n",
    f"{RING}{{id: k1, key: @}}\n",
    f"{RING}{{id: k1, @: A}}\n",
    f"{RING}{{id: k1, env: A}}\n    - {{id: @, env: B}}\n",
    f"{RING}{{id: k1, env: A}}\n    - {{id: k1, env: @}}\n",
    f"{RING}@\n",
    "secrets: @\n",
    "secrets: {@: 1}\n",
    "secrets: {fields: [@]}\n",
    "secrets: {fields: [{table: a.@, column: b}]}\n",
    "secrets: {fields: [{table: a, column: b, path: a..@}]}\n",
    "secrets: {fields: [{table: a, column: b, path: [@]}]}\n",
    "secrets: {fields: [{table: a, column: b, @: c}]}\n",
]


def not_repeated(text: str) -> None:
    """Nothing of the key is there: no twelve characters of any form in a row, and no group."""
    plain = text.lower()
    pieces = {HEX[at : at + 8] for at in range(len(HEX) - 7)}
    pieces |= {form[at : at + 12].lower() for form in FORMS.values() for at in range(len(form) - 11)}
    pieces |= {str(int(HEX, 16))[at : at + 12] for at in range(60)}
    pieces |= {repr(KEY)[2:20].lower(), repr(KEY)[30:44].lower()}
    assert not [piece for piece in pieces if piece in plain], text


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_in_no_place_of_the_file(form: str, quote: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "callctl.yaml"
    for place in PLACES:
        file.write_text(place.replace("@", f"{quote}{form}{quote}"))
        code = 0
        try:
            load_key_ring(load_settings(environ={}, directory=tmp_path), {"PATH": "/usr/bin:/bin"}, command_seconds=10)
        except Exception as error:
            code = common.report(error)
        said = capsys.readouterr()
        assert code == 4, (place, said)
        not_repeated(said.out + said.err)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_in_no_argument(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLCTL_DATABASE_URL", "postgresql://me@127.0.0.1:1/x")
    for words in (
        ["@"],
        ["--@"],
        ["-@"],
        ["@", "@"],
        ["keys", "@"],
        ["keys", "list", "@"],
        ["keys", "list", "--@"],
        ["keys", "list", "--key=@"],
        ["keys", "generate", "@"],
        ["keys", "generate", "--out", "@/x"],
        ["keys", "retire", "@"],
        ["keys", "retire", "k1", "@"],
        ["keys", "retire", "k1", "--backup-taken-at", "@"],
        ["rotate-secrets", "@"],
        ["rotate-secrets", "--workers", "@"],
        ["rotate-secrets", "--webhook-secrets", "--account", "@", "--to-file", "f"],
        ["rotate-secrets", "--webhook-secrets", "--all", "--to-file", "f", "--grace", "@"],
        ["webhooks", "rotate", "--account", "@", "--to-file", "f"],
        ["webhooks", "restore", "--company", "@"],
        ["rotate-secrets", "--lock-wait", "@"],
        ["rotate-secrets", "--batch-size=@"],
        ["migrate", "up", "--to", "@"],
        ["migrate", "status", "--config", "@"],
        ["migrate", "status", "--database", "@"],
        ["migrate", "status", "--database", "postgresql://@/x?@=1"],
        ["migrate", "status", "--database", "postgresql://127.0.0.1:1/x?sslmode=@"],
        ["migrate", "status", "--output", "@"],
        ["seed-models", "--catalogue", "@"],
        ["restore", "@"],
        ["companies", "enable", "@"],
        ["code-refs", "@"],
    ):
        run([word.replace("@", form) for word in words])
        said = capsys.readouterr()
        not_repeated(said.out + said.err)
    # As a shell takes it apart.
    for words in (form.split(), ["keys", *form.split()], ["keys", "retire", *form.split()]):
        run(words)
        said = capsys.readouterr()
        not_repeated(said.out + said.err)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_in_no_variable(form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for setting in SETTINGS:
        for variable in (*setting.variables, "CALLCTL_CONFIG"):
            with monkeypatch.context() as patch:
                patch.setenv("CALLCTL_DATABASE_URL", "postgresql://me@127.0.0.1:1/x")
                patch.setenv(variable, form)
                run(["migrate", "status"])
            said = capsys.readouterr()
            not_repeated(said.out + said.err)


SAYS = {
    "whole": f"cannot use {HEX}",
    "lines": "\n".join(HEX[at : at + 8] for at in range(0, 64, 8)),
    "labelled": " ".join(f"part{at}={HEX[at : at + 8]}" for at in range(0, 64, 8)),
    "escaped": "".join(f"\\x{HEX[at : at + 2]}" for at in range(0, 64, 2)),
    "a piece": f"begins with {HEX[:8]} and ends with {HEX[-10:]}",
    **{name: f"cannot use {form}" for name, form in FORMS.items()},
}


@pytest.mark.parametrize("shown", ["", ", show_stderr: true"], ids=["hidden", "shown"])
@pytest.mark.parametrize("said", SAYS.values(), ids=SAYS)
def test_in_no_error_of_a_key_command(
    said: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "vault"
    script.write_text(f"import sys; sys.stderr.write({said!r} + '; no lease\\n'); sys.exit(7)")
    command = json.dumps([sys.executable, str(script)])
    (tmp_path / "callctl.yaml").write_text(f"{RING}{{id: k1, command: {command}{shown}}}\n")
    with pytest.raises(Exception, match="exit code 7") as caught:
        load_key_ring(load_settings(environ={}, directory=tmp_path))
    common.report(caught.value)
    text = capsys.readouterr().err
    not_repeated(text)
    assert ("no lease" in text) == bool(shown)
    assert ("show_stderr: true" in text) != bool(shown)
