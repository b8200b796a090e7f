"""The suite that `tests/with-suite` started, as the SDKs see it."""
import os

import anthropic
import openai
import pytest

URL = os.environ["RIXIN_URL"]
KEY = os.environ["RIXIN_KEY"]


@pytest.fixture(scope="session")
def model() -> str:
    return os.environ["RIXIN_MODEL"]


@pytest.fixture(scope="session")
def client() -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=300)


@pytest.fixture(scope="session")
def claude() -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=300)


WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}


@pytest.fixture(scope="session")
def weather() -> dict:
    return WEATHER


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="session")
def person() -> dict:
    return PERSON
