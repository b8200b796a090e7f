# One target for each thing a person does. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help up down build test lint bench fuzz openapi docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

up: ## set everything up, start the suite on this machine, ask the model one question
	@scripts/up

down: ## stop the suite that `make up` started
	@scripts/down

build: ## build the console and the release binary; CPU=native builds for this machine's processor
	@scripts/build

test: ## set everything up and pass the tests
	@scripts/test

lint: ## rustfmt, clippy, cargo-deny where installed, the console's linter
	@scripts/lint

bench: ## run every measurement (minutes); one alone: bench/run chat
	@bench/run all

fuzz: ## run every fuzz target for a minute
	@fuzz/run

openapi: ## write openapi.json and the console's client from the code
	@scripts/openapi

docs: ## make the screenshots of the docs anew
	@scripts/docs

clean: ## remove what was built (not models or data)
	@scripts/clean
