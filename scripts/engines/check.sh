#!/bin/sh
# The slow check of launch commands: install vLLM and SGLang, each into an environment below build/engines (some
# 10 GB each), and run the tests that ask them. Needs no accelerator.
set -eu
cd "$(dirname "$0")/../.."
folder=$PWD/build/engines
mkdir -p "$folder"
for pair in "vllm ${VLLM:-0.33.0}" "sglang ${SGLANG:-0.5.23}"; do
    engine=${pair% *} version=${pair#* }
    if ! test -x "$folder/$engine/bin/python"; then
        "${PYTHON:-python3}" -m venv "$folder/$engine"
    fi
    "$folder/$engine/bin/python" -m pip install --quiet --disable-pip-version-check "$engine==$version"
done
# The wheels' extensions want the driver's library to load. Where there is none, a library of its name will do: the
# checks never call it.
if ! ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; then
    sh scripts/engines/stub_libcuda.sh "$folder"/*/lib "$folder/stub"
    LD_LIBRARY_PATH=$folder/stub${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
fi
SERVEFRONT_VLLM=$folder/vllm/bin/python SERVEFRONT_SGLANG=$folder/sglang/bin/python \
    .venv/bin/python -m pytest tests/search/render/launch/test_engines_own.py \
    tests/search/render/launch/test_engines_split.py tests/search/render/launch/test_engines_pools.py
