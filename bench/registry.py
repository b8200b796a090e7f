"""The registry with 100,000 models: list, filter and search."""
import os
import pathlib
import subprocess
import sys

root = pathlib.Path(__file__).parent.parent
build = ["cargo", "run", "--quiet", "--release", "--locked", "-p", "rixin-models", "--example", "registry_bench", "--"]
sys.exit(subprocess.run(build + sys.argv[1:], cwd=root, env=os.environ).returncode)
