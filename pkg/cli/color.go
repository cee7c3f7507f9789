// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package cli

import "io"

// enableColor reports whether the terminal obeys escape sequences.
func enableColor(io.Writer) bool { return true }
