// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"

	"github.com/spf13/pflag"
)

var _ pflag.Value = new(ExternalMode)

func TestExternalModeIsOneOfTwo(t *testing.T) {
	mode := Automatic
	if err := mode.Set("OnRun"); err != nil || mode != OnRun {
		t.Errorf("OnRun is read as %s, %v", mode, err)
	}
	if err := mode.Set("onrun"); err == nil || mode != OnRun {
		t.Errorf("onrun is read as %s, %v", mode, err)
	}
	if _, err := ParseExternalMode(""); err == nil {
		t.Error("nothing is a mode")
	}
}
