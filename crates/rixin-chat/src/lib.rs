//! The chat engine over llama.cpp: batching, prefix cache, sampling, templates, tools, grammars.
