#!/bin/sh
# The examiner of counts: transformers and CPU torch into an environment of their own below build/counts, every class
# and every config of the folders in SERVEFRONT_CASES (separated by spaces) built there, and our reader compared. Needs
# no accelerator and no weights. BUILT: an earlier build to compare with again, which takes seconds.
set -eu
cd "$(dirname "$0")/../.."
folder=$PWD/build/counts
built=${BUILT:-$folder/built.jsonl}
mkdir -p "$folder"
if test -z "${BUILT:-}"; then
    if ! test -x "$folder/env/bin/python"; then
        "${PYTHON:-python3}" -m venv "$folder/env"
    fi
    # The CPU build of torch, where the index tells it by name; any other serves as well.
    "$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
        "torch${TORCH:+==$TORCH}" "transformers${TRANSFORMERS:+==$TRANSFORMERS}" pillow
    # shellcheck disable=SC2086
    "$folder/env/bin/python" scripts/counts/build.py "$built" ${SERVEFRONT_CASES:-}
fi
PYTHONPATH=$PWD .venv/bin/python scripts/counts/compare.py "$built" "$@"
