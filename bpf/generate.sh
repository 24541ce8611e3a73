#!/bin/sh
# Compiles one family for each architecture and generates its bindings. The output
# depends on clang's version alone, not on where the tree lies: no absolute path
# reaches the object, and DWARF is stripped.
set -eu
identifier=$1 family=$2
shift 2
export BPF2GO_CFLAGS="-O2 -g -Wall -Werror -Wno-unused-function -mcpu=v3 -fdebug-prefix-map=$PWD=. -fdebug-compilation-dir=."
exec go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -no-global-types -target amd64,arm64 \
	-cc "${CLANG:-clang}" -strip "${LLVM_STRIP:-llvm-strip}" "$@" "$identifier" "$family.bpf.c"
