#!/bin/sh
# The slow check of launch files: install vLLM, SGLang, the routers (with Kubernetes' schemas) and Dynamo, each into an
# environment below build/engines (some 10 GB each; the routers 0.4), and run the tests that ask them. Needs no
# accelerator.
set -eu
cd "$(dirname "$0")/../.."
folder=$PWD/build/engines
mkdir -p "$folder"
install() { # ENVIRONMENT, then what pip is told
    name=$1
    shift
    test -x "$folder/$name/bin/python" || "${PYTHON:-python3}" -m venv "$folder/$name"
    "$folder/$name/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
install vllm "vllm==${VLLM:-0.33.0}"
install sglang "sglang==${SGLANG:-0.5.23}"
install routers "vllm-router==${VLLM_ROUTER:-0.1.17}" "sglang-router==${SGLANG_ROUTER:-0.3.2}" \
    "kubernetes-validate==${KUBERNETES_VALIDATE:-1.37.0}"
# The vLLM that Dynamo's image has. Its simulator is not for its workers.
install dynamo "vllm==${DYNAMO_VLLM:-0.31.0}" 'kubernetes<33' msgspec prometheus-client pyzmq 'redis<9' zstandard uvloop
install dynamo --no-deps "ai-dynamo==${DYNAMO:-1.6.1}" "ai-dynamo-runtime==${DYNAMO:-1.6.1}"
# The wheels' extensions want the driver's library to load. Where there is none, a library of its name will do: the
# checks never call it.
if ! ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; then
    sh scripts/engines/stub_libcuda.sh "$folder"/*/lib "$folder/stub"
    LD_LIBRARY_PATH=$folder/stub${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
fi
SERVEFRONT_VLLM=$folder/vllm/bin/python SERVEFRONT_SGLANG=$folder/sglang/bin/python \
    SERVEFRONT_ROUTERS=$folder/routers/bin/python SERVEFRONT_DYNAMO=$folder/dynamo/bin/python \
    .venv/bin/python -m pytest tests/search/render/launch/test_engines_*.py
