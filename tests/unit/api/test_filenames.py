"""A file's name in a form, as browsers, curl, .NET and Java write it."""

from __future__ import annotations

import base64

import pytest
from multipart import parse_content_disposition

from gateway.api.filenames import file_name

NAME = "Công văn số 12.pdf"
WORD = f"=?utf-8?B?{base64.b64encode(NAME.encode()).decode()}?="
STAR = "utf-8''C%C3%B4ng%20v%C4%83n%20s%E1%BB%91%2012.pdf"
HALVES = [base64.b64encode(part).decode() for part in (NAME.encode()[:2], NAME.encode()[2:])]


def read(parameters: str) -> str:
    disposition = f"form-data; name=file{parameters}"
    return file_name(disposition, parse_content_disposition(disposition)[2])


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(f'; filename="{NAME}"', id="browser, curl"),
        pytest.param(f'; filename="{WORD}"; filename*={STAR}', id=".NET"),
        pytest.param(f'; filename="{WORD}"', id="encoded word alone"),
        pytest.param(f"; filename*={STAR}", id="extended alone"),
        pytest.param(f'; filename*="{STAR}"', id="extended between quotes"),
        pytest.param(f"; filename=cong-van.pdf; filename*={STAR}", id="plain and extended"),
        pytest.param(f"; FileName*=UTF-8'vi'{STAR[7:]}; filename=a.pdf", id="language"),
        pytest.param('; filename="=?utf-8?Q?C=C3=B4ng_v=C4=83n_s=E1=BB=91_12.pdf?="', id="Q"),
        pytest.param(
            f'; filename="=?utf-8?B?{HALVES[0]}?= =?utf-8?B?{HALVES[1]}?="', id="cut in a letter"
        ),
        pytest.param(
            '; filename="=?iso-8859-1?Q?C=F4ng_?= =?utf-8?Q?v=C4=83n_s=E1=BB=91_12.pdf?="',
            id="two charsets",
        ),
    ],
)
def test_every_way_of_writing_the_name_gives_the_name(parameters: str) -> None:
    assert read(parameters) == NAME


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("", ""),
        ('; filename=""', ""),
        ("; filename*=utf-8''%FF", ""),
        ("; filename*=utf-8''a%2", ""),
        ("; filename*=shift_jis''a; filename=b.pdf", "b.pdf"),
        ("; filename*=utf-8''%C3; filename=b.pdf", "b.pdf"),
        ("; filename*=; filename=b.pdf", "b.pdf"),
        ("; filename=\"a; filename*=utf-8''b\"", "a; filename*=utf-8''b"),
        ("; filename*=utf-8''..%2Fa.pdf", "../a.pdf"),
        ('; filename="=?utf-8?B?!!?="', "=?utf-8?B?!!?="),
        ('; filename="=?utf-8?B?/w==?="', "=?utf-8?B?/w==?="),
        ('; filename="=?utf-7?Q?a?="', "=?utf-7?Q?a?="),
        ('; filename="=?utf-7?Q?a?= =?utf-8?Q?b?="', "=?utf-7?Q?a?= =?utf-8?Q?b?="),
        ('; filename="=?what.pdf"', "=?what.pdf"),
        ('; filename="a=?utf-8?Q?b?="', "a=?utf-8?Q?b?="),
    ],
)
def test_what_cannot_be_decoded_is_taken_as_it_stands(parameters: str, name: str) -> None:
    assert read(parameters) == name
