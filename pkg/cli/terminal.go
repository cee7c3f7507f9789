// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/stagegate/stagegate/pkg/view/terminal"
)

// terminalOf knows which of the streams are terminals.
type terminalOf struct {
	in  io.Reader
	out io.Writer
}

func (t terminalOf) isOut() bool {
	file, ok := t.out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// asks reports whether there is a person to ask.
func (t terminalOf) asks() bool {
	file, ok := t.in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && t.isOut()
}

// size returns the columns and rows of the terminal, zeros where there is none.
func (t terminalOf) size() (width, height int) {
	if file, ok := t.out.(*os.File); ok {
		if width, height, err := term.GetSize(int(file.Fd())); err == nil {
			return width, height
		}
	}
	return 0, 0
}

// drawing returns how to draw on the output.
func (o *options) drawing() terminal.Options {
	d := terminal.Options{Now: o.now(), Zone: time.Local, ASCII: o.ascii || os.Getenv("TERM") == "dumb"}
	if o.terminal.isOut() {
		d.Width, _ = o.terminal.size()
		d.Color = !o.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && enableColor(o.terminal.out)
	}
	return d
}

func (o *options) print(lines ...string) {
	for _, line := range lines {
		fmt.Fprintln(o.Out, line)
	}
}

var errNoAnswer = errors.New("there is no answer: nothing was done")

// ask asks the person at the terminal for one line.
func (o *options) ask(question string) (string, error) {
	fmt.Fprint(o.Out, question)
	// One reader for all questions: it may have read ahead.
	if o.answers == nil {
		o.answers = bufio.NewReader(o.In)
	}
	text, err := o.answers.ReadString('\n')
	if text = strings.TrimSpace(text); err != nil && text == "" {
		return "", errNoAnswer
	}
	return text, nil
}

// confirm asks the person at the terminal whether to go on.
func (o *options) confirm(question string) error {
	answer, err := o.ask(question + " [y/N] ")
	if err != nil {
		return err
	}
	if a := strings.ToLower(answer); a != "y" && a != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}

// reason returns the reason that the user gives with -m, or asks for it at the terminal.
func (o *options) reason(given, what string) (string, error) {
	given = strings.TrimSpace(given)
	if given == "" {
		if !o.terminal.asks() {
			return "", fmt.Errorf("give the reason with -m: it is recorded with %s", what)
		}
		var err error
		if given, err = o.ask("Reason: "); err != nil {
			return "", err
		}
		if given == "" {
			return "", errors.New("a reason is required: nothing was done")
		}
	}
	return given, nil
}

func indent(data []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, data, "", "    ") != nil {
		return data
	}
	b.WriteByte('\n')
	return b.Bytes()
}
