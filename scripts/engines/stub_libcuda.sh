#!/bin/sh
# stub_libcuda.sh FOLDER... OUT: a libcuda.so.1 in OUT with every symbol that the libraries below FOLDER want of it.
# Each function fails (100: no device), so nothing runs on it. Needs a C compiler and binutils.
set -eu
for out in "$@"; do :; done
mkdir -p "$out"
: >"$out/symbols"
for folder in "$@"; do
    test "$folder" = "$out" && continue
    find "$folder" \( -path '*/vllm/*' -o -path '*/torch/lib/*' -o -path '*/sgl*' \) -name '*.so*' -type f |
        while read -r library; do
            if objdump -p "$library" 2>/dev/null | grep -q 'libcuda\.so\.1'; then
                nm -D --undefined-only "$library" | sed -n 's/.* U \(cu[A-Z][A-Za-z0-9_]*\).*/\1/p' >>"$out/symbols"
            fi
        done
done
sort -u "$out/symbols" | sed 's/.*/int &(void) { return 100; }/' >"$out/stub.c"
cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$out/libcuda.so.1" "$out/stub.c"
