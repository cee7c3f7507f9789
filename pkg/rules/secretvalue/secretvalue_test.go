// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package secretvalue

import (
	"encoding/base64"
	"testing"
)

func TestWhatIsMaskedIsTheValuesAndNothingElse(t *testing.T) {
	values := Set{}
	values.Add(map[string]any{
		"metadata":   map[string]any{"name": "database", "annotations": map[string]any{"applied": `{"metadata": {"name": "database"}, "stringData": {"old": "old-passw0rd"}}`}},
		"data":       map[string]any{"user": base64.StdEncoding.EncodeToString([]byte("root")), "wrong": int64(123456)},
		"stringData": map[string]any{"key": "-----BEGIN KEY-----\nabcdefgh\n"},
	})
	for text, want := range map[string]string{
		`secrets "database" is forbidden`: `secrets "database" is forbidden`,
		`user "root" of rootless`:         `user "` + Redacted + `" of rootless`,
		`expected string, got 123456`:     `expected string, got ` + Redacted,
		`key: -----BEGIN KEY-----`:        `key: ` + Redacted,
		`abcdefgh in ä line of its own`:   Redacted + ` in ä line of its own`,
		`it was old-passw0rd`:             `it was ` + Redacted,
		`cm9vdA== is root`:                Redacted + ` is ` + Redacted,
		``:                                ``,
	} {
		if got := values.Mask(text); got != want {
			t.Errorf("Mask(%q) = %q, want %q", text, got, want)
		}
	}
}
