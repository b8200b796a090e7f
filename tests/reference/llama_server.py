#!/usr/bin/env python3
"""Asks llama.cpp's own server (PyPI xllamacpp) greedily, and writes what it answered to golden/*.json.

    pip install xllamacpp
    python tests/reference/llama_server.py --smollm2 SmolLM2-135M-Instruct.Q4_1.gguf --gemma gemma-3-270m-q4_k_m.gguf

Each golden file is a list of {"path", "body", ...}: the request as it is sent to a replica too, and of the reply the text, the tokens'
texts, how sure each was, the end and the counts; of embeddings the vectors.
"""

import argparse
import json
import pathlib
import urllib.request

import xllamacpp

HERE = pathlib.Path(__file__).parent / "golden"
GREEDY = {"temperature": 0, "cache_prompt": False}


def user(text):
    return [{"role": "user", "content": text}]


CHATS = [
    (user("What is the capital of France?"), 40),
    (user("用一句话介绍北京。"), 40),
    ([{"role": "system", "content": "You answer in one short sentence."}, *user("Why is the sky blue?")], 48),
    (
        [
            *user("My name is Ada."),
            {"role": "assistant", "content": "Nice to meet you, Ada!"},
            *user("What is my name?"),
        ],
        32,
    ),
    (user([{"type": "text", "text": "Count:"}, {"type": "text", "text": "one, two,"}]), 32),
]
PROMPTS = {
    "smollm2": [("Once upon a time", 48), ("def fibonacci(n):\n", 48), ("从前有一座山，", 32), ("The 🙂 emoji means", 32)],
    "gemma": [
        ("User: 你好\nAssistant: 你好！有什么可以帮你？\nUser: 中国的首都是哪里？\nAssistant:", 24),
        ("User: What is the capital of France?\nAssistant: Paris.\nUser: And of Italy?\nAssistant:", 24),
        ("从前有一座山，", 40),
        ("Once upon a time", 48),
        # Answers that leave no doubt: where the model is not sure, two builds of llama.cpp part ways.
        ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,", 32),
        ("一、二、三、四、五、", 12),
        ("User: 苹果\nAssistant: apple\nUser: 猫\nAssistant: cat\nUser: 狗\nAssistant:", 3),
        ("Monday, Tuesday, Wednesday,", 10),
        ("A B C D E F G H I J", 24),
    ],
}
TEXTS = ["The cat sleeps on the sofa.", "今天天气很好。", "Interest rates rose by two percent.", "a"]


def server(model, embedding):
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = 4096
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    if embedding:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return xllamacpp.Server(params)


def post(url, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def gap(top):
    return top[0]["logprob"] - top[1]["logprob"]


def generated(url, path, body):
    more = {"logprobs": True, "top_logprobs": 2} if "messages" in body else {"logprobs": 2}
    reply = post(url, path, {**body, **more})
    choice = reply["choices"][0]
    text = choice["message"]["content"] if "messages" in body else choice["text"]
    return {
        "path": path,
        "body": body,
        "text": text,
        "tokens": [token["token"] for token in choice["logprobs"]["content"]],
        # How much likelier the token was than the next one, in nats: near zero another build of llama.cpp may choose the other.
        "gaps": [round(gap(token["top_logprobs"]), 3) for token in choice["logprobs"]["content"]],
        "finish_reason": choice["finish_reason"],
        "prompt_tokens": reply["usage"]["prompt_tokens"],
    }


def write(name, cases):
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / f"{name}.json").write_text(f"[\n{lines}\n]\n")


def make(name, model):
    running = server(model, False)
    url = running.listening_address
    cases = []
    if name == "smollm2":
        for messages, limit in CHATS:
            body = {"model": name, "messages": messages, "max_tokens": limit, **GREEDY}
            cases.append(generated(url, "/v1/chat/completions", body))
    for prompt, limit in PROMPTS[name]:
        body = {"model": name, "prompt": prompt, "max_tokens": limit, **GREEDY}
        cases.append(generated(url, "/v1/completions", body))
    write(f"{name}_greedy", cases)
    running = server(model, True)
    reply = post(running.listening_address, "/v1/embeddings", {"input": TEXTS, "model": name})
    cases = [
        {"text": text, "embedding": [round(x, 5) for x in item["embedding"]]}
        for text, item in zip(TEXTS, reply["data"])
    ]
    write(f"{name}_embeddings", cases)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--smollm2")
parser.add_argument("--gemma")
for name, model in vars(parser.parse_args()).items():
    if model:
        make(name, model)
