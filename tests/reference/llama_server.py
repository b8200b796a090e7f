#!/usr/bin/env python3
"""Asks llama.cpp's own server greedily, and writes what it answered to golden/*.json.

    tests/reference/build_llama_server
    python3 tests/reference/llama_server.py --server ~/.cache/rixin/llama-server/build/bin/llama-server

The server's own defaults hold, but for one thread, one slot, 4,096 tokens of context, and no prompt taken from the cache of the last one.
It has to be built by the compiler that builds ours: kernels of another one round differently. How far that goes,
`--wheel` tells (pip install xllamacpp==2026.10.11549): it asks the server inside that wheel the same, writes nothing, and prints where its
answers part from the golden ones.

Each golden file is a list of {"path", "body", ...}: the request as it is sent to a replica too, and of the reply the text, the tokens'
texts, how sure each was, the end and the counts; of embeddings the vectors. Without the models' paths those of the tests are taken.
"""

import argparse
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

from prompts import CHATS, COMPLETIONS, TEXTS

HERE = pathlib.Path(__file__).parent / "golden"
MODELS = {"smollm2": "SmolLM2-135M-Instruct.Q4_1.gguf", "gemma": "gemma-3-270m-q4_k_m.gguf"}
GREEDY = {"temperature": 0, "cache_prompt": False}


@contextlib.contextmanager
def built(binary, model, embedding):
    """The server of a build of our own; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["--ctx-size", 4096, "--parallel", 1, "--threads", 1, "--threads-batch", 1, "--host", "127.0.0.1", "--port", port]
    flags += ["--embedding", "--pooling", "mean"] if embedding else []
    server = subprocess.Popen([binary, "--model", model, "--offline", *map(str, flags)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            assert server.poll() is None, f"{binary} ended"
            with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(f"{url}/health"):
                break
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def wheel(_, model, embedding):
    """The server inside the wheel."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx = 4096
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    if embedding:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server


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
    return {
        "path": path,
        "body": body,
        "text": choice["message"]["content"] if "messages" in body else choice["text"],
        "tokens": [token["token"] for token in choice["logprobs"]["content"]],
        # How much likelier the token was than the next one, in nats.
        "gaps": [round(gap(token["top_logprobs"]), 3) for token in choice["logprobs"]["content"]],
        "finish_reason": choice["finish_reason"],
        "prompt_tokens": reply["usage"]["prompt_tokens"],
        "completion_tokens": reply["usage"]["completion_tokens"],
    }


def answers(url, name):
    for messages, limit in CHATS if name == "smollm2" else []:
        body = {"model": name, "messages": messages, "max_tokens": limit, **GREEDY}
        yield generated(url, "/v1/chat/completions", body)
    for prompt, limit in COMPLETIONS[name]:
        body = {"model": name, "prompt": prompt, "max_tokens": limit, **GREEDY}
        yield generated(url, "/v1/completions", body)


def vectors(url, name):
    reply = post(url, "/v1/embeddings", {"input": TEXTS, "model": name})
    for text, item in zip(TEXTS, reply["data"]):
        yield {"text": text, "embedding": [round(x, 5) for x in item["embedding"]]}


def write(name, cases):
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / f"{name}.json").write_text(f"[\n{lines}\n]\n")


def compare(name, cases):
    """Prints where answers part from the golden ones, with the distance of the two likeliest tokens there in both."""
    equal = 0
    golden = json.loads((HERE / f"{name}_greedy.json").read_text())
    for case, want in zip(cases, golden, strict=True):
        pairs = enumerate(zip(case["tokens"], want["tokens"]))
        at = next((i for i, (ours, theirs) in pairs if ours != theirs), None)
        if at is None and case["text"] == want["text"]:
            equal += 1
        else:
            print(f"{name}: {want['text'][:40]!r} parts at token {at}: {want['gaps'][at]} and {case['gaps'][at]} nats")
    print(f"{name}: {equal} of {len(golden)} answers are equal to the end")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--server", help="the binary that build_llama_server made")
    how.add_argument("--wheel", action="store_true", help="compare the wheel's server with the golden files")
    cache = pathlib.Path(os.environ.get("RIXIN_TEST_CACHE", pathlib.Path.home() / ".cache/rixin/test-models"))
    for name, file in MODELS.items():
        parser.add_argument(f"--{name}", type=pathlib.Path, default=cache / file)
    args = vars(parser.parse_args())
    start = wheel if args["wheel"] else built
    for name in MODELS:
        with start(args["server"], args[name], False) as url:
            cases = answers(url, name)
            if args["wheel"]:
                compare(name, cases)
                continue
            write(f"{name}_greedy", cases)
        with start(args["server"], args[name], True) as url:
            write(f"{name}_embeddings", vectors(url, name))


if __name__ == "__main__":
    main()
