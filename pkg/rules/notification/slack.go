// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// maxText is how many bytes of a text that users write are shown.
const maxText = 1024

// Slack returns the body of the event for incoming webhooks of Slack and those who take the same.
func (e Event) Slack() ([]byte, error) {
	body, err := json.Marshal(map[string]string{"text": e.text()})
	if err != nil {
		return nil, fmt.Errorf("encoding the text of %s: %w", e.ID(), err)
	}
	return body, nil
}

func (e Event) text() string {
	d := &e.Data
	run := d.Run.Name
	if d.Run.Namespace != "" {
		run = d.Run.Namespace + "/" + run
	}
	what := d.Entry.Message
	if d.Entry.Operation != "" {
		what = string(d.Entry.Operation) + " was requested"
		if d.Entry.Message != "" {
			what += ": " + d.Entry.Message
		}
	}
	if what == "" {
		what = d.Entry.Reason
	}
	lines := []string{fmt.Sprintf("*%s* %s: %s", plain(e.Type), plain(run), plain(what))}
	details := []string{"placement " + d.Run.Placement}
	if d.Progress.Clusters > 0 {
		details = append(details, fmt.Sprintf("%d of %s done", d.Progress.Done, wording.Count(d.Progress.Clusters, "cluster")))
	}
	if d.Progress.Failed > 0 {
		details = append(details, fmt.Sprintf("%d failed", d.Progress.Failed))
	}
	if len(d.Entry.Clusters) > 0 {
		details = append(details, wording.Count(len(d.Entry.Clusters), "cluster")+": "+wording.FirstNames(d.Entry.Clusters))
	}
	if d.Entry.User != "" {
		details = append(details, "by "+d.Entry.User)
	}
	lines = append(lines, plain(strings.Join(details, ", ")))
	if d.WaitingFor != "" {
		lines = append(lines, "waiting for "+plain(d.WaitingFor))
	}
	for _, a := range d.Approvals {
		if len(a.Groups) > 0 {
			lines = append(lines, "a member of "+plain(strings.Join(a.Groups, ", "))+" must approve")
		}
		if a.Approve != "" {
			// Names of objects and uids have nothing that would need to be escaped.
			lines = append(lines, "`"+a.Approve+"`")
		}
	}
	return strings.Join(lines, "\n")
}

// zeroWidth is a space that nobody sees.
const zeroWidth = "\u200b"

// plain returns a text that users have written as one line that says no more than it seems to: it pings nobody, <!channel> as little as
// @channel of Mattermost, and has no link with a text of its own.
func plain(text string) string {
	text = wording.OneLine(strings.ToValidUTF8(text, ""), maxText)
	var b strings.Builder
	before := ' '
	for i, r := range text {
		// What is not shown must not hide what stands before the next one, nor turn the text around.
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			continue
		}
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '`':
			b.WriteByte('\'')
		case r == '@' && !isWord(before):
			b.WriteString("@" + zeroWidth)
		case r == '(' && before == ']':
			b.WriteString(zeroWidth + "(")
		default:
			b.WriteString(text[i : i+utf8.RuneLen(r)])
		}
		before = r
	}
	return b.String()
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
