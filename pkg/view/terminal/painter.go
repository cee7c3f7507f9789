// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"fmt"
	"io"
	"strings"
)

// Painter repaints lines in place. It writes each picture at once, so that a terminal shows no half of one.
type Painter struct {
	out io.Writer
	// painted is how many lines the last picture had, size that of the terminal then.
	painted int
	width   int
}

// NewPainter returns a painter that writes to a terminal. Close it to get the cursor back.
func NewPainter(out io.Writer) *Painter { return &Painter{out: out} }

// Paint replaces the last picture. No line may be wider than the terminal; of more lines than it has rows, the first are painted and the others
// counted, since what has left the screen cannot be painted over.
func (p *Painter) Paint(lines []string, width, height int) error {
	if height > 1 && len(lines) > height-1 {
		more := len(lines) - (height - 2)
		lines = append(lines[:max(0, height-2):max(0, height-2)], fmt.Sprintf("and %d more lines", more))
	}
	var b strings.Builder
	switch {
	case p.painted == 0:
		b.WriteString("\x1b[?25l")
	case p.width != width:
		// The terminal has wrapped the old lines anew, nobody knows how.
		b.WriteString("\x1b[2J\x1b[H")
	default:
		fmt.Fprintf(&b, "\x1b[%dA\r", p.painted)
	}
	for _, line := range lines {
		b.WriteString(line + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	p.painted, p.width = len(lines), width
	_, err := io.WriteString(p.out, b.String())
	return err
}

// Close shows the cursor again.
func (p *Painter) Close() error {
	if p.painted == 0 {
		return nil
	}
	p.painted = 0
	_, err := io.WriteString(p.out, "\x1b[?25h")
	return err
}
