// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package terminal draws views as lines of text. It decides nothing: what is shown is in the view.
package terminal

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

// Options are how lines are drawn.
type Options struct {
	// Width is how many columns there are, 0 for as many as it takes.
	Width int
	// Color draws in color. Nothing is told by color alone.
	Color bool
	// ASCII draws without any other character of its own.
	ASCII bool
	// Now is the time that ages are counted to.
	Now time.Time
	// Zone is the time zone of the user. Nil is UTC.
	Zone *time.Location
}

// style is a color of the terminal, as its escape sequence has it.
type style string

const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// line is a line under construction: it knows how much room is left in it.
type line struct {
	options *Options
	text    strings.Builder
	columns int
	full    bool
}

func (o *Options) line() *line { return &line{options: o} }

// add appends a text, which is cut at the end of the line.
func (l *line) add(s style, text string) *line {
	if l.full || text == "" {
		return l
	}
	if limit := l.options.Width; limit > 0 && l.columns+Width(text) > limit {
		dots := l.options.icon("…", "...")
		text, l.full = cut(text, limit-l.columns-Width(dots))+dots, true
		if l.columns+Width(text) > limit {
			// Not even the dots fit.
			text = ""
		}
	}
	l.columns += Width(text)
	if s != plain && l.options.Color {
		text = "\x1b[" + string(s) + "m" + text + "\x1b[0m"
	}
	l.text.WriteString(text)
	return l
}

// pad appends spaces up to a column.
func (l *line) pad(column int) *line {
	return l.add(plain, strings.Repeat(" ", max(0, column-l.columns)))
}

func (l *line) String() string {
	if l.options.Color {
		return l.text.String()
	}
	return strings.TrimRight(l.text.String(), " ")
}

func (o *Options) icon(unicode, ascii string) string {
	if o.ASCII {
		return ascii
	}
	return unicode
}

// cut returns the beginning of a text that fits into so many columns.
func cut(text string, columns int) string {
	used := 0
	for i, r := range text {
		if used += runeWidth(r); used > columns {
			return text[:i]
		}
	}
	return text
}

// Width returns how many columns a text takes that has no control characters.
func Width(text string) int {
	columns := 0
	for _, r := range text {
		columns += runeWidth(r)
	}
	return columns
}

func runeWidth(r rune) int {
	switch {
	case r < 0x7f:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// age returns how long ago a time was, such as 14m.
func (o *Options) age(t *metav1.Time) string {
	if t == nil {
		return ""
	}
	return duration.HumanDuration(max(o.Now.Sub(t.Time), 0))
}

// left returns how long it is until a time, such as 23h.
func (o *Options) left(t *metav1.Time) string { return duration.HumanDuration(max(t.Sub(o.Now), 0)) }

// clock returns the time of day, with the date where that is not today's.
func (o *Options) clock(t time.Time) string {
	zone := o.Zone
	if zone == nil {
		zone = time.UTC
	}
	t, now := t.In(zone), o.Now.In(zone)
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}
