#!/usr/bin/env python3
"""Writes greedy.json and embeddings.json with llama.cpp's own server (PyPI xllamacpp).

    pip install xllamacpp && python tests/golden/make.py SmolLM2-135M-Instruct.Q4_1.gguf
"""

import json
import pathlib
import sys
import urllib.request

import xllamacpp

HERE = pathlib.Path(__file__).parent


def chat(text):
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


PROMPTS = [
    ("Once upon a time", 48, 1.0),
    (chat("What is the capital of France?"), 48, 1.0),
    (chat("Write two sentences about the sea."), 64, 1.0),
    (chat("List the numbers from one to ten."), 64, 1.0),
    (chat("Write two sentences about the sea."), 64, 1.3),
    ("def fibonacci(n):\n", 64, 1.0),
    ("日本語と emoji 🙂:", 32, 1.0),
]
TEXTS = ["The cat sleeps on the sofa.", "Interest rates rose by two percent.", "你好，世界", "a"]


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


def main(model):
    running = server(model, False)
    cases = []
    for prompt, n_predict, repeat_penalty in PROMPTS:
        body = {
            "prompt": prompt,
            "n_predict": n_predict,
            "temperature": 0,
            "repeat_penalty": repeat_penalty,
            "return_tokens": True,
            "cache_prompt": False,
        }
        reply = post(running.listening_address, "/completion", body)
        cases.append(
            {"prompt": prompt, "n_predict": n_predict, "repeat_penalty": repeat_penalty, "tokens": reply["tokens"]}
        )
    (HERE / "greedy.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")
    running = server(model, True)
    reply = post(running.listening_address, "/v1/embeddings", {"input": TEXTS})
    cases = [
        {"text": text, "embedding": [round(x, 6) for x in item["embedding"]]}
        for text, item in zip(TEXTS, reply["data"])
    ]
    (HERE / "embeddings.json").write_text(json.dumps(cases, ensure_ascii=False) + "\n")


main(sys.argv[1])
