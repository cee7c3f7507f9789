// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
)

// blockKind is what the info string of a fenced block in a transcript says that the block is.
type blockKind string

const (
	// command is a script to run.
	command blockKind = "bash"
	// tableOutput is the table that the command before prints.
	tableOutput blockKind = "output"
	// objectOutput is the object that the command before prints.
	objectOutput blockKind = "yaml output"
	// manifest is an object to apply.
	manifest blockKind = "yaml manifest"
	// onMembers is an object that each member has by then.
	onMembers blockKind = "yaml members"
)

// block is one fenced block of a transcript: the commands, manifests and outputs of a document in order.
type block struct {
	section string
	line    int
	kind    blockKind
	text    string
	// written is the text before it was rewritten.
	written string
}

// parseTranscript reads Markdown of which only the headings of the second level and the fenced blocks count.
func parseTranscript(text string) ([]block, error) {
	var blocks []block
	var section string
	var open *block
	for i, line := range strings.Split(text, "\n") {
		info, isFence := strings.CutPrefix(line, "```")
		switch {
		case open == nil && isFence:
			open = &block{section: section, line: i + 1, kind: blockKind(info)}
		case open != nil && isFence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		default:
			if heading, ok := strings.CutPrefix(line, "## "); ok {
				section = heading
			}
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block has no end", open.line)
	}
	return blocks, checkOrder(blocks)
}

// checkOrder holds that each output follows the command that prints it.
func checkOrder(blocks []block) error {
	var before blockKind
	for _, b := range blocks {
		switch b.kind {
		case command, manifest, onMembers:
		case tableOutput, objectOutput:
			if before != command {
				return fmt.Errorf("line %d: the output follows no command", b.line)
			}
		default:
			return fmt.Errorf("line %d: a block of an unknown kind %q", b.line, b.kind)
		}
		before = b.kind
	}
	return nil
}
