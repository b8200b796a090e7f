"""Anthropic's Python SDK against a real suite."""
import json

import anthropic
import pytest

CAPITAL = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]


def test_plain(claude, model):
    reply = claude.messages.create(model=model, max_tokens=24, messages=CAPITAL, extra_body={"temperature": 0}, system="You are brief.")
    assert "Paris" in reply.content[0].text
    assert reply.type == "message" and reply.role == "assistant" and reply.stop_reason in ("end_turn", "max_tokens")
    assert reply.usage.input_tokens > 10 and reply.usage.output_tokens > 0


def test_streamed(claude, model):
    ask = dict(model=model, max_tokens=32, messages=[{"role": "user", "content": [{"type": "text", "text": "Say hello in one sentence."}]}], extra_body={"temperature": 0})
    with claude.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == claude.messages.create(**ask).content[0].text
    assert final.usage.output_tokens > 0


def test_events_in_order(claude, model):
    kinds = [e.type for e in claude.messages.create(model=model, max_tokens=8, messages=CAPITAL, extra_body={"temperature": 0}, stream=True)]
    assert kinds[0] == "message_start" and kinds[1] == "content_block_start" and kinds[-1] == "message_stop"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_stop_sequence(claude, model):
    reply = claude.messages.create(model=model, max_tokens=64, messages=[{"role": "user", "content": "Count from 1 to 10, separated by commas."}], extra_body={"temperature": 0}, stop_sequences=["5"])
    assert "5" not in reply.content[0].text
    assert reply.stop_reason in ("stop_sequence", "end_turn")


def test_tools(claude, model, weather):
    tools = [{"name": "get_weather", "description": "Current weather of a city", "input_schema": weather}]
    ask = dict(model=model, max_tokens=128, tools=tools, tool_choice={"type": "any"}, extra_body={"temperature": 0})
    first = claude.messages.create(messages=[{"role": "user", "content": "Weather in Beijing in celsius?"}], **ask)
    use = next(b for b in first.content if b.type == "tool_use")
    assert first.stop_reason == "tool_use" and use.name == "get_weather" and set(use.input) == {"city", "unit"}
    second = claude.messages.create(
        model=model, max_tokens=32, tools=tools, tool_choice={"type": "none"}, extra_body={"temperature": 0},
        messages=[
            {"role": "user", "content": "Weather in Beijing in celsius?"},
            {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in first.content]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "21 degrees"}]},
        ],
    )
    assert second.content[0].type == "text"
    with claude.messages.stream(messages=[{"role": "user", "content": "Weather in Beijing in celsius?"}], **ask) as stream:
        streamed = next(b for b in stream.get_final_message().content if b.type == "tool_use")
    assert streamed.input == use.input


def test_count_tokens(claude, model):
    assert claude.messages.count_tokens(model=model, messages=CAPITAL).input_tokens > 10


def test_errors(claude, model):
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="no-such-model", max_tokens=8, messages=CAPITAL)
    with pytest.raises(anthropic.BadRequestError) as error:
        claude.messages.create(model=model, max_tokens=0, messages=CAPITAL)
    assert error.value.body["type"] == "error"
    with pytest.raises(anthropic.AuthenticationError):
        claude.with_options(api_key="rx-wrong").messages.create(model=model, max_tokens=8, messages=CAPITAL)
