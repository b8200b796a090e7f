#!/usr/bin/env python3
"""Renders templates/*.jinja with jinja2 as transformers sets it up (chat_template_utils.py), into golden/chat_template.json.

    pip install jinja2 && python tests/reference/chat_template.py

qwen3 (Apache-2.0), smollm2 (Apache-2.0), deepseek_r1 (MIT) and glm4 (MIT, shortened) are the templates of these models; the others were
written for this test.
"""

import json
import pathlib
from datetime import datetime

import jinja2
import jinja2.ext
import jinja2.sandbox

HERE = pathlib.Path(__file__).parent
NOW = datetime(2026, 2, 3, 4, 5, 6)
BOS, EOS = "<s>", "</s>"


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def m(role, content, **more):
    return {"role": role, "content": content, **more}


def call(arguments, name="get_weather", id="abcdefghi"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "查询 <b>weather</b> & \"more\"",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}, "x": {"enum": [1.5, None, True]}},
                "required": ["city"],
            },
        },
    }
]
ARGS = {"city": "北京 'x'", "days": 2, "tags": ["a", {"b": None}], "big": 1e22, "small": 0.00001, "f": 1.0}
CONVERSATIONS = {
    "plain": ([m("user", "Hello 你好 <b>&\n")], None),
    "system": ([m("system", " Be brief. "), m("user", "a"), m("assistant", "<think>\nhm\n</think>\n\nb"), m("user", "c")], None),
    "tools": ([m("system", "S"), m("user", "weather?")], TOOLS),
    "results_object": (
        [m("user", "w?"), m("assistant", None, tool_calls=[call(ARGS)]), m("tool", '{"t": 1}', tool_call_id="abcdefghi", name="get_weather")],
        TOOLS,
    ),
    "results_text": (
        [m("user", "w?"), m("assistant", None, tool_calls=[call(json.dumps(ARGS)), call("{}")]), m("tool", "r", tool_call_id="abcdefghi"), m("tool", "s", tool_call_id="abcdefghi")],
        None,
    ),
    "two_users": ([m("user", "a"), m("user", "b")], None),
    "reasoning": ([m("user", "a"), m("assistant", "b", reasoning_content=" why ")], None),
    "parts": ([m("user", [{"type": "text", "text": "p"}, {"type": "text", "text": "q"}])], None),
}


def main():
    env = environment()
    out = []
    for path in sorted((HERE / "templates").glob("*.jinja")):
        source = path.read_text()
        template = env.from_string(source)
        cases = []
        for name, (messages, tools) in CONVERSATIONS.items():
            for kwargs in ({}, {"enable_thinking": False}) if name in ("plain", "tools") else ({},):
                generation = name != "reasoning"
                try:
                    text = template.render(
                        messages=messages, tools=tools, documents=None, add_generation_prompt=generation, bos_token=BOS, eos_token=EOS, **kwargs
                    )
                except Exception:
                    text = None
                cases.append({"name": name, "kwargs": kwargs, "output": text})
        out.append({"template": path.name, "cases": cases})
    conversations = {name: {"messages": messages, "tools": tools} for name, (messages, tools) in CONVERSATIONS.items()}
    text = json.dumps({"now": NOW.isoformat(), "bos": BOS, "eos": EOS, "conversations": conversations, "templates": out}, ensure_ascii=False, indent=1)
    (HERE / "golden/chat_template.json").write_text(text + "\n")


main()
