#!/usr/bin/env bash

# Copyright The Stagegate Authors.
# SPDX-License-Identifier: Apache-2.0

# Regenerates everything that is derived from the types in pkg/apis: helpers beside the types, and OpenAPI definitions,
# apply configurations, clientset, listers and informers in pkg/generated. It finds the groups by their markers, so a new
# group needs no change here.
#
# A new API rule violation stops the run. If it is meant, accept it with
#   UPDATE_API_KNOWN_VIOLATIONS=true hack/update-codegen.sh

set -o errexit
set -o nounset
set -o pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
cd "${ROOT}"

PKG="$(go list -m)/pkg"
BOILERPLATE="${ROOT}/hack/boilerplate.go.txt"

export GOBIN="${ROOT}/_output/bin"
mkdir -p "${GOBIN}"

# On a new machine the module's directory is not known before it is there.
go mod download k8s.io/code-generator
# shellcheck source=/dev/null
source "$(go list -m -f '{{.Dir}}' k8s.io/code-generator)/kube_codegen.sh"

# The generators are installed from this directory: building them here takes their versions from this module's go.mod.
KUBE_CODEGEN_ROOT="${ROOT}"

# Types of these packages are used by ours. Their models are wanted in our OpenAPI document, but nothing may be written to
# the module cache.
FOREIGN_PKGS=(
    k8s.io/api/rbac/v1
    k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1
    k8s.io/apimachinery/pkg/util/intstr
)
KUBE_CODEGEN_READONLY_PKGS+=(k8s.io/api/rbac/v1 k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1)

# The types of v1 are those of v1beta1, which is the hub. Only its doc.go, with the markers, is written by hand.
for group in placement cluster; do
    find "pkg/apis/${group}/v1" -name '*.go' ! -name doc.go ! -name 'zz_generated.*' -delete
    for file in "pkg/apis/${group}/v1beta1"/{types_*,register,defaults,fields}.go; do
        [[ -e "${file}" ]] || continue
        sed -e 's|^package v1beta1$|// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.\n\npackage v1|' \
            -e 's/Version: "v1beta1"/Version: "v1"/' "${file}" >"pkg/apis/${group}/v1/$(basename "${file}")"
    done
done

kube::codegen::gen_helpers \
    --boilerplate "${BOILERPLATE}" \
    pkg/apis

openapi_args=()
for pkg in "${FOREIGN_PKGS[@]}"; do
    openapi_args+=(--extra-pkgs "${pkg}")
done
if [[ "${UPDATE_API_KNOWN_VIOLATIONS:-}" == "true" ]]; then
    openapi_args+=(--update-report)
fi
kube::codegen::gen_openapi \
    "${openapi_args[@]}" \
    --output-dir "${ROOT}/pkg/generated/openapi" \
    --output-pkg "${PKG}/generated/openapi" \
    --output-model-name-file zz_generated.model_name.go \
    --report-filename "${ROOT}/hack/api-violations.list" \
    --boilerplate "${BOILERPLATE}" \
    pkg/apis

# The apply configurations carry the schema, so the OpenAPI definitions must be there before them. Their generator looks
# types up by the name that OpenAPI would derive from the Go package, while at run time they have the names that
# +k8s:openapi-model-package gives them: it is shown the former, and what it writes gets the latter.
GO_NAMES='com\.github\.stagegate\.stagegate\.pkg\.apis'
TO_GO_NAMES="s/\bdev\.stagegate\.rollout\./${GO_NAMES}.rollout./g; s/\bio\.kubernetes-fleet\./${GO_NAMES}./g"
TO_MODELS="s/\b${GO_NAMES}\.rollout\./dev.stagegate.rollout./g; s/\b${GO_NAMES}\./io.kubernetes-fleet./g"
SCHEMA="$(mktemp)"
trap 'rm -f "${SCHEMA}"' EXIT
go run ./pkg/generated/openapi/cmd/models-schema | sed "${TO_GO_NAMES}" >"${SCHEMA}"

kube::codegen::gen_client \
    --with-watch \
    --with-applyconfig \
    --applyconfig-openapi-schema "${SCHEMA}" \
    --applyconfig-externals "k8s.io/api/rbac/v1.Subject:k8s.io/client-go/applyconfigurations/rbac/v1" \
    --output-dir "${ROOT}/pkg/generated" \
    --output-pkg "${PKG}/generated" \
    --boilerplate "${BOILERPLATE}" \
    pkg/apis

find pkg/generated/applyconfiguration -name '*.go' -exec sed -i "${TO_MODELS}" {} +
