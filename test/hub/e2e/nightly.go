// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"testing"
)

// nightlyVariable is set to 1 by make nightly.
const nightlyVariable = "STAGEGATE_NIGHTLY"

// atNight reports whether what takes long is run, too.
func atNight() bool { return os.Getenv(nightlyVariable) == "1" }

// nightly skips a test that takes long and is about what changes rarely, or about what faster tests hold as well.
func nightly(t *testing.T) {
	t.Helper()
	if !atNight() {
		t.Skipf("it takes long: it is run with %s=1, as make nightly does", nightlyVariable)
	}
}
