"""OpenAI's Python SDK against a real suite."""
import base64
import json
import math
import os
import struct
import time
import urllib.request

import openai
import pytest

CAPITAL = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]


def stats(model):
    request = urllib.request.Request(f"{os.environ['RIXIN_URL']}/api/replicas", headers={"Authorization": f"Bearer {os.environ['RIXIN_KEY']}"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return [r for r in json.load(reply)["data"] if r["model"] == model]


def test_models(client, model):
    assert model in [m.id for m in client.models.list()]
    assert client.models.retrieve(model).id == model


def test_plain(client, model):
    reply = client.chat.completions.create(model=model, messages=CAPITAL, temperature=0, max_tokens=24)
    assert "Paris" in reply.choices[0].message.content
    assert reply.choices[0].finish_reason in ("stop", "length")
    assert reply.usage.prompt_tokens > 10
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.id.startswith("chatcmpl-") and reply.model == model


def test_streamed_equals_plain(client, model):
    ask = dict(model=model, messages=[{"role": "user", "content": "Write one sentence about the sea, with an emoji."}], temperature=0, max_tokens=48)
    plain = client.chat.completions.create(**ask)
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [plain.choices[0].finish_reason]
    assert len({c.id for c in chunks}) == 1


def test_no_usage_chunk_unless_asked(client, model):
    chunks = list(client.chat.completions.create(model=model, messages=CAPITAL, max_tokens=4, stream=True))
    assert all(c.usage is None for c in chunks)


def test_seed_repeats(client, model):
    ask = dict(model=model, messages=[{"role": "user", "content": "Tell me a story."}], temperature=1.2, seed=7, max_tokens=32)
    first, second = (client.chat.completions.create(**ask).choices[0].message.content for _ in range(2))
    assert first == second
    assert first != client.chat.completions.create(**ask | {"seed": 8}).choices[0].message.content


def test_several_answers(client, model):
    reply = client.chat.completions.create(model=model, messages=CAPITAL, n=3, temperature=1, seed=1, max_tokens=12)
    assert [c.index for c in reply.choices] == [0, 1, 2]


def test_stop(client, model):
    reply = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Count from 1 to 10, separated by commas."}], temperature=0, stop=["5"], max_tokens=64)
    assert "5" not in reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"


def test_logprobs(client, model):
    reply = client.chat.completions.create(model=model, messages=CAPITAL, temperature=0, max_tokens=5, logprobs=True, top_logprobs=4)
    for token in reply.choices[0].logprobs.content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 4
        assert token.logprob == pytest.approx(max(t.logprob for t in token.top_logprobs))
        assert bytes(token.bytes).decode(errors="replace") == token.token


def test_logit_bias(client, model):
    ask = dict(model=model, messages=CAPITAL, temperature=0, max_tokens=3)
    free = client.chat.completions.create(**ask, logprobs=True).choices[0]
    request = urllib.request.Request(
        f"{os.environ['RIXIN_URL']}/v1/completions",
        json.dumps({"model": model, "prompt": "x", "max_tokens": 1, "logit_bias": {"100": 100}, "temperature": 0}).encode(),
        {"Authorization": f"Bearer {os.environ['RIXIN_KEY']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        biased = json.load(reply)["choices"][0]["text"]
    assert biased and biased != free.message.content


def test_tool_required_streamed_and_plain(client, model, weather):
    tools = [{"type": "function", "function": {"name": "get_weather", "description": "Current weather of a city", "parameters": weather}}]
    ask = dict(model=model, messages=[{"role": "user", "content": "What is the weather in Beijing, in celsius?"}], tools=tools, tool_choice="required", temperature=0, max_tokens=128)
    plain = client.chat.completions.create(**ask)
    call = plain.choices[0].message.tool_calls[0]
    assert plain.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather" and call.id
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"city", "unit"} and arguments["unit"] in ("celsius", "fahrenheit")

    name, pieces, reason = "", [], None
    for chunk in client.chat.completions.create(**ask, stream=True):
        for choice in chunk.choices:
            reason = choice.finish_reason or reason
            for part in choice.delta.tool_calls or []:
                name += part.function.name or ""
                pieces.append(part.function.arguments or "")
    assert name == "get_weather" and reason == "tool_calls"
    assert json.loads("".join(pieces)) == arguments
    assert len(pieces) > 2, "arguments come in pieces"


def test_named_tool_and_result_turn(client, model, weather):
    tools = [
        {"type": "function", "function": {"name": "get_weather", "parameters": weather}},
        {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}},
    ]
    first = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Weather in Paris?"}], tools=tools,
        tool_choice={"type": "function", "function": {"name": "get_weather"}}, temperature=0, max_tokens=96,
    ).choices[0].message
    assert [c.function.name for c in first.tool_calls] == ["get_weather"]
    second = client.chat.completions.create(
        model=model, tools=tools, tool_choice="none", temperature=0, max_tokens=32,
        messages=[{"role": "user", "content": "Weather in Paris?"}, first.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "21 degrees, sunny"}],
    ).choices[0].message
    assert second.content and not second.tool_calls


def test_json_schema(client, model, person):
    reply = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Invent a person."}], temperature=0.8, seed=3, max_tokens=96,
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": person, "strict": True}},
    )
    value = json.loads(reply.choices[0].message.content)
    assert set(value) == {"name", "age"} and isinstance(value["name"], str) and 0 <= value["age"] <= 120


def test_json_object(client, model):
    reply = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Give me a JSON object with a key 'color'."}], temperature=0, max_tokens=200, response_format={"type": "json_object"}
    )
    if reply.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(reply.choices[0].message.content), dict)
    else:
        assert reply.choices[0].message.content.lstrip().startswith("{")


def test_grammar(client, model):
    reply = client.chat.completions.create(model=model, messages=CAPITAL, temperature=0, max_tokens=16, extra_body={"grammar": 'root ::= "yes" | "no"'})
    assert reply.choices[0].message.content in ("yes", "no")


def test_embeddings(client, model):
    texts = ["The cat sits on the mat.", "A cat is sitting on a mat.", "Quarterly revenue grew by 4 percent."]
    reply = client.embeddings.create(model=model, input=texts, encoding_format="float")
    vectors = [d.embedding for d in reply.data]
    assert all(math.isclose(sum(x * x for x in v), 1, rel_tol=1e-3) for v in vectors)
    dot = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2])
    raw = client.with_raw_response.embeddings.create(model=model, input=texts[0], encoding_format="base64").http_response.json()["data"][0]["embedding"]
    decoded = struct.unpack(f"<{len(vectors[0])}f", base64.b64decode(raw))
    assert max(abs(a - b) for a, b in zip(decoded, vectors[0])) < 1e-3
    assert len(client.embeddings.create(model=model, input=texts[0], dimensions=32).data[0].embedding) == 32


def test_completions(client, model):
    reply = client.completions.create(model=model, prompt="1, 2, 3, 4,", max_tokens=8, temperature=0)
    assert "5" in reply.choices[0].text
    text = "".join(c.choices[0].text for c in client.completions.create(model=model, prompt="1, 2, 3, 4,", max_tokens=8, temperature=0, stream=True) if c.choices)
    assert text == reply.choices[0].text
    echoed = client.completions.create(model=model, prompt=["1, 2,", "a, b,"], max_tokens=4, temperature=0, echo=True)
    assert [c.text.startswith(p) for c, p in zip(echoed.choices, ["1, 2,", "a, b,"])] == [True, True]


def test_responses(client, model):
    reply = client.responses.create(model=model, input="What is the capital of France? One word.", temperature=0, max_output_tokens=24)
    assert "Paris" in reply.output_text and reply.status in ("completed", "incomplete")
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    follow = client.responses.create(model=model, input="And of Italy?", previous_response_id=reply.id, temperature=0, max_output_tokens=24)
    assert follow.previous_response_id == reply.id
    assert follow.usage.input_tokens > reply.usage.input_tokens
    assert client.responses.retrieve(reply.id).output_text == reply.output_text
    client.responses.delete(reply.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(reply.id)


def test_responses_streamed(client, model):
    events = list(client.responses.create(model=model, input="Say hello.", temperature=0, max_output_tokens=16, stream=True))
    kinds = [e.type for e in events]
    assert kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete")
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == events[-1].response.output_text and text
    assert [e.sequence_number for e in events] == list(range(len(events)))


def test_responses_tool_and_schema(client, model, weather, person):
    tools = [{"type": "function", "name": "get_weather", "parameters": weather, "strict": True}]
    reply = client.responses.create(model=model, input="Weather in Beijing?", tools=tools, tool_choice="required", temperature=0, max_output_tokens=128)
    call = next(i for i in reply.output if i.type == "function_call")
    assert call.name == "get_weather" and set(json.loads(call.arguments)) == {"city", "unit"}
    shaped = client.responses.create(
        model=model, input="Invent a person.", temperature=0, max_output_tokens=96, text={"format": {"type": "json_schema", "name": "person", "schema": person}}
    )
    assert set(json.loads(shaped.output_text)) == {"name", "age"}


def test_errors(client, model):
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="no-such-model", messages=CAPITAL)
    assert error.value.code == "model_not_found" and "no-such-model" in error.value.message
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=model, messages=CAPITAL, temperature=9)
    assert error.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "word " * 40_000}])
    assert error.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=model, messages=CAPITAL, extra_body={"grammar": "root ::= ("})
    assert error.value.code == "invalid_grammar"
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="rx-wrong").chat.completions.create(model=model, messages=CAPITAL)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}])


def test_errors_in_chinese(client, model):
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="no-such-model", messages=CAPITAL, extra_headers={"Accept-Language": "zh-CN"})
    assert any("\u4e00" <= c <= "\u9fff" for c in error.value.message)


def test_truncation(client, model):
    long = [{"role": "user", "content": "word " * 6_000}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "What is the capital of France?"}]
    long = long[:2] * 3 + long[2:]
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=model, messages=long, max_tokens=8)
    reply = client.chat.completions.create(model=model, messages=long, max_tokens=8, temperature=0, extra_body={"truncation": "auto"})
    assert reply.usage.prompt_tokens < 8192


def test_cancellation_frees_the_slot(client, model):
    stream = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Tell me a very long story."}], max_tokens=4000, stream=True, extra_body={"logit_bias": {}})
    for _, chunk in zip(range(5), stream):
        pass
    stream.close()
    deadline = time.monotonic() + 20
    while any(r["active"] for r in stats(model)):
        assert time.monotonic() < deadline, stats(model)
        time.sleep(0.2)


def test_request_id_and_language(client, model):
    reply = client.with_raw_response.models.list()
    assert reply.headers["x-request-id"].startswith("req_")
