// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// In a document of this project, unlike in a transcript, code is indented, and nothing says what a block is but the block itself.
const (
	// textOutput is what the command before prints, where that is no table.
	textOutput blockKind = "text output"
	// excerpt are some of the lines that the command before prints, and some of the columns of those.
	excerpt blockKind = "excerpt"
	// file is a file that the reader writes; its first line has the name as a comment.
	file blockKind = "file"
	// fragment is a part of an object, to look at.
	fragment blockKind = "fragment"
)

var (
	indented     = regexp.MustCompile(`^ {4,}\S`)
	heading      = regexp.MustCompile(`^#+ (.*)`)
	inlineCode   = regexp.MustCompile("`(kubectl [^`]+)`")
	openCode     = regexp.MustCompile("`kubectl( [^`]*)?$")
	yamlLine     = regexp.MustCompile(`^(- |[A-Za-z][A-Za-z-]*:( |$))`)
	commandLine  = regexp.MustCompile(`^([a-z_-]+(\(\))?( |$)|[A-Z_]+=)`)
	tableHeader  = regexp.MustCompile(`^[A-Z][A-Z-]+( {2,}|$)`)
	fileName     = regexp.MustCompile(`^# ([a-z-]+\.(?:yaml|py))(\n|$)`)
	definition   = regexp.MustCompile(`^([a-z_]+\(\)|[A-Z_]+=\S*\n$|export )`)
	hereDocument = regexp.MustCompile(`<< *'?([A-Z]+)'?`)
)

// parseDocument reads the commands of a page: those in blocks, each with the output that is shown after it, and those of kubectl within the
// text.
func parseDocument(text string) ([]block, error) {
	d := &document{lines: strings.Split(text, "\n")}
	for d.next < len(d.lines) {
		line := d.lines[d.next]
		switch {
		case strings.HasPrefix(line, "```"):
			return nil, fmt.Errorf("line %d: code is indented by four spaces here, not fenced", d.next+1)
		case strings.TrimSpace(line) == "":
			d.next++
		case indented.MatchString(line):
			if err := d.readCode(); err != nil {
				return nil, err
			}
		default:
			d.readText()
		}
	}
	return d.blocks, nil
}

type document struct {
	lines   []string
	next    int
	section string
	// inText reports whether the paragraph before has a command.
	inText bool
	blocks []block
}

func (d *document) add(line int, kind blockKind, text ...string) {
	d.blocks = append(d.blocks, block{section: d.section, line: line + 1, kind: kind, text: strings.Join(text, "\n") + "\n"})
}

// readText reads a paragraph, or a line of a table, whose commands have to be told from those of its neighbors.
func (d *document) readText() {
	start := d.next
	for d.next < len(d.lines) && strings.TrimSpace(d.lines[d.next]) != "" {
		d.next++
	}
	paragraph := d.lines[start:d.next]
	if match := heading.FindStringSubmatch(paragraph[0]); match != nil {
		d.section = match[1]
	}
	d.inText = false
	for i, line := range paragraph {
		// A command that begins in a line may end in the next.
		for rest := line; ; {
			found := inlineCode.FindStringSubmatchIndex(rest)
			if found == nil {
				open := openCode.FindStringIndex(rest)
				if open == nil || i+1 == len(paragraph) {
					break
				}
				end := strings.Index(paragraph[i+1], "`")
				if end < 0 {
					break
				}
				d.inText = true
				d.add(start+i, command, strings.TrimSpace(rest[open[0]+1:])+" "+strings.TrimSpace(paragraph[i+1][:end]))
				break
			}
			d.inText = true
			d.add(start+i, command, rest[found[2]:found[3]])
			rest = rest[found[1]:]
		}
	}
}

// readCode reads an indented block up to the next empty line.
func (d *document) readCode() error {
	start := d.next
	indent := len(d.lines[start]) - len(strings.TrimLeft(d.lines[start], " "))
	var code []string
	for ; d.next < len(d.lines) && strings.TrimSpace(d.lines[d.next]) != ""; d.next++ {
		line := d.lines[d.next]
		code = append(code, line[min(indent, len(line)-len(strings.TrimLeft(line, " "))):])
	}
	first := 0
	for first < len(code)-1 && strings.HasPrefix(code[first], "#") {
		first++
	}
	switch {
	case strings.HasPrefix(code[first], "$ "):
		return d.readSession(start, code)
	case fileName.MatchString(code[0]):
		d.add(start, file, code...)
	case yamlLine.MatchString(code[first]):
		d.add(start, fragment, code...)
	case commandLine.MatchString(code[first]):
		return d.readScript(start, code)
	case d.inText:
		d.add(start, excerpt, code...)
	}
	return nil
}

// readSession reads commands that begin with "$ ", and what each prints.
func (d *document) readSession(start int, code []string) error {
	for i := 0; i < len(code); {
		if strings.HasPrefix(code[i], "#") {
			i++
			continue
		}
		script := append([]string{strings.TrimPrefix(code[i], "$ ")}, code[i+1:]...)
		n, err := commandLength(script)
		if err != nil {
			return fmt.Errorf("line %d: %w", start+i+1, err)
		}
		d.add(start+i, command, script[:n]...)
		i += n
		end := i
		for end < len(code) && !strings.HasPrefix(code[end], "$ ") {
			end++
		}
		if output := code[i:end]; len(output) > 0 {
			kind := textOutput
			if tableHeader.MatchString(output[0]) {
				kind = tableOutput
			}
			d.add(start+i, kind, output...)
		}
		i = end
	}
	return nil
}

func (d *document) readScript(start int, code []string) error {
	for i := 0; i < len(code); {
		if strings.HasPrefix(code[i], "#") {
			i++
			continue
		}
		n, err := commandLength(code[i:])
		if err != nil {
			return fmt.Errorf("line %d: %w", start+i+1, err)
		}
		d.add(start+i, command, code[i:i+n]...)
		i += n
	}
	return nil
}

// commandLength returns how many lines the first command of a script has, as far as documents write them: with continuations, a
// here-document or a for.
func commandLength(script []string) (int, error) {
	end := ""
	if here := hereDocument.FindStringSubmatch(script[0]); here != nil {
		end = here[1]
	} else if strings.HasPrefix(script[0], "for ") && !strings.Contains(script[0], "; done") {
		end = "done"
	}
	for i, line := range script {
		switch {
		case end != "":
			if i > 0 && strings.HasPrefix(line, end) {
				return i + 1, nil
			}
		case !strings.HasSuffix(line, `\`):
			return i + 1, nil
		}
	}
	return 0, errors.New("the command has no end")
}

var (
	spaces    = regexp.MustCompile(`\s+`)
	timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
)

func textLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, timestamp.ReplaceAllString(spaces.ReplaceAllString(strings.TrimSpace(line), " "), "(a time)"))
	}
	return lines
}

// compareText returns an error unless both texts have the same lines, spaces and times aside. A line of an elision stands for any lines.
func compareText(want, got string) error {
	wantLines, gotLines := textLines(want), textLines(got)
	at, elided := 0, false
	for _, line := range wantLines {
		if line == elision {
			elided = true
			continue
		}
		for elided && at < len(gotLines) && gotLines[at] != line {
			at++
		}
		if at == len(gotLines) || gotLines[at] != line {
			return fmt.Errorf("the document has the line %q, printed:\n%s", line, got)
		}
		at++
		elided = false
	}
	if !elided && at < len(gotLines) {
		return fmt.Errorf("the document does not have the line %q, printed:\n%s", gotLines[at], got)
	}
	return nil
}

// compareExcerpt returns an error unless each line is in what was printed, in this order, with its columns among others.
func compareExcerpt(want, got string) error {
	gotLines, at := textLines(got), 0
	for line := range strings.Lines(want) {
		cells := columnBreak.Split(strings.TrimSpace(line), -1)
		for at < len(gotLines) && !containsInOrder(gotLines[at], cells) {
			at++
		}
		if at == len(gotLines) {
			return fmt.Errorf("nothing has the line %q of the document, printed:\n%s", strings.TrimSpace(line), got)
		}
		at++
	}
	return nil
}

func containsInOrder(line string, cells []string) bool {
	for _, cell := range cells {
		_, after, found := strings.Cut(line, cell)
		if !found {
			return false
		}
		line = after
	}
	return true
}
