// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package wording

import "strings"

const dots = "..."

// Shorten returns a text of at most so many bytes, three at least. What is too much is cut out of its middle: a message begins with
// the object that it is about, and often ends with the point. No character is cut in two.
func Shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	half := (limit - len(dots)) / 2
	return strings.ToValidUTF8(s[:half], "") + dots + strings.ToValidUTF8(s[len(s)-half:], "")
}

// OneLine returns a text as one line of at most so many bytes.
func OneLine(text string, limit int) string {
	return Shorten(strings.Join(strings.Fields(text), " "), limit)
}
