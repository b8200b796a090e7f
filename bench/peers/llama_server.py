"""The peer of the chat measurements: llama.cpp's own HTTP server, as PyPI's xllamacpp carries it.

    llama_server.py MODEL PARALLEL CONTEXT_TOKENS THREADS [--embedding]

prints `ready URL` and serves until its standard input ends. CONTEXT_TOKENS is the whole cache, as of `llama-server -c`.
"""
import sys

import xllamacpp

model, parallel, context, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
params = xllamacpp.CommonParams()
params.model.path = model
params.n_parallel = parallel
params.n_ctx = context
params.kv_unified = True  # llama-server's own default when it chooses the number of slots
params.cpuparams.n_threads = threads
params.cpuparams_batch.n_threads = threads
params.embedding = "--embedding" in sys.argv
params.verbosity = 0
params.port = 0
params.endpoint_metrics = True
server = xllamacpp.Server(params)
print("ready", server.listening_address, flush=True)
sys.stdin.read()
