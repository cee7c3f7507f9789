# Copyright The Stagegate Authors.
# SPDX-License-Identifier: Apache-2.0

# The image holds the server and nothing else. Build the binary first: CGO_ENABLED=0 make build
FROM scratch
COPY _output/bin/stagegate-apiserver /stagegate-apiserver
USER 65532:65532
ENTRYPOINT ["/stagegate-apiserver"]
