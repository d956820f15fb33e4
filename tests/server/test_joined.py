"""Scripts joined out of modules: one request a page, each module in a scope of its own."""

from __future__ import annotations

import re

import pytest

from server.joined import NotJoinable, join

FILES = {
    "a/main.js": 'import { two, Three } from "./b.js";\nimport {\n  one,\n} from "./../c.js";\nbegin(one);\n',
    "a/b.js": 'import { one } from "./../c.js";\nconst X = 2;\nexport const two = one + X;\nexport class Three {}\n',
    "c.js": "const X = 3;\nexport async function one() {}\nexport function four() {}\n",
    "round.js": 'import { x } from "./round.js";\n',
    "renamed.js": 'import { one as two } from "./c.js";\n',
    "star.js": 'import * as c from "./c.js";\n',
    "default.js": "export default 1;\n",
}


def test_modules_come_once_and_before_who_needs_them() -> None:
    """What is imported twice stands once, in front of both, with only what it exports visible."""
    text, names = join("a/main.js", FILES.__getitem__)
    assert names == ("c.js", "a/b.js", "a/main.js")
    places = [text.index(f"const _{name} = (") for name in ("c_js", "a_b_js", "a_main_js")]
    assert places == sorted(places)
    assert "return { one, four };" in text
    assert "const { two, Three } = _a_b_js;" in text
    assert not re.search(r"^(import|export)\b", text, re.M)


@pytest.mark.parametrize("name", ["round.js", "renamed.js", "star.js", "default.js"])
def test_other_forms_are_refused(name: str) -> None:
    """What cannot be joined is said when the page is made, with the file's name."""
    with pytest.raises(NotJoinable, match=name.removesuffix(".js")):
        join(name, FILES.__getitem__)


@pytest.mark.parametrize("page", ["watch", "host"])
def test_live_scripts_are_one_lasting_file(client, page: str) -> None:
    """A joined script is named by its digest and kept for a year; its modules stay there for themselves."""
    address = client.application.jinja_env.globals["asset"](f"joined/live/{page}.js")
    answer = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.mimetype == "text/javascript"
    assert len(answer.data) < 9000
    assert client.get("/static/live/room.js").status_code == 200


@pytest.mark.parametrize("name", ["joined/live/none.js", "joined/tropa.css", "joined/", "joined/../config.py"])
def test_nothing_else_is_joined(client, name: str) -> None:
    """Files that are no scripts of ours are not found under that name."""
    assert client.get(f"/static/{name}").status_code == 404
