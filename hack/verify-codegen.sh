#!/usr/bin/env bash

# Copyright The Stagegate Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if the generated code is not what hack/update-codegen.sh makes of the types. It generates into a copy and leaves
# the working tree as it is.

set -o errexit
set -o nounset
set -o pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
COPY="$(mktemp -d)"
trap 'rm -rf "${COPY}"' EXIT

cp -a "${ROOT}/go.mod" "${ROOT}/go.sum" "${ROOT}/hack" "${ROOT}/pkg" "${COPY}"
mkdir -p "${ROOT}/_output/bin"
ln -s "${ROOT}/_output" "${COPY}/_output"

"${COPY}/hack/update-codegen.sh"

if ! diff -Naupr "${ROOT}/pkg" "${COPY}/pkg"; then
    echo "Generated code is out of date. Run hack/update-codegen.sh." >&2
    exit 1
fi
echo "Generated code is up to date."
