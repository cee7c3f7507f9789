// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"strings"
	"testing"

	"github.com/stagegate/stagegate/pkg/registry/store"
)

func TestVersionsCanCarryTheNameOfTheirOverride(t *testing.T) {
	for _, r := range Resources() {
		isVersion := strings.HasSuffix(r.Plural, "snapshots")
		for _, length := range []int{63, 64} {
			obj := r.New().(store.Object)
			obj.SetName(strings.Repeat("a", length))
			refused := false
			for _, err := range r.Strategy.Validate(t.Context(), obj) {
				refused = refused || err.Field == "metadata.name"
			}
			if want := length > 63 && !isVersion; refused != want {
				t.Errorf("%s with a name of %d characters: refused %v, want %v", r.Plural, length, refused, want)
			}
		}
	}
}
