// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean returns a text as one line that a terminal and a browser show and do not obey: without control characters (C0, C1, DEL), without what
// changes the direction of a text or is invisible (format characters, such as bidi overrides), and without bytes that are no UTF-8. Line breaks and
// tabs become a space.
func Clean(text string) string {
	if isClean(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			r = ' '
		case isHarmful(r):
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isClean(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool { return isHarmful(r) || r == '\u2028' || r == '\u2029' }) < 0
}

// isHarmful holds for control and format characters, private use and what is no character.
func isHarmful(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) || r == utf8.RuneError
}
