// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// Whoever reads a status need not be allowed to read Secrets. So no value of a Secret is in one: what differs is said by its path only, and
// from what a member says of a Secret (a webhook may quote what it refuses) the values are taken out.

// redacted stands for what is not shown.
const redacted = "(redacted for security reasons)"

const (
	// window is how many bytes in a row of a value of a Secret are not shown, wherever they are.
	window = 8
	// maxMasked is how much is looked at and kept of what a member says of a Secret, in bytes. It is more than any condition shows.
	maxMasked = 4 * maxMessage
)

// isSecret reports whether the object is one whose values are not shown.
func (m *manifest) isSecret() bool {
	kind := m.object.GroupVersionKind()
	return kind.Group == "" && kind.Kind == "Secret"
}

// note remembers an object that a member may quote until the result is concealed.
func (m *manifest) note(live *unstructured.Unstructured) {
	if live != nil && m.isSecret() {
		m.quotable = append(m.quotable, live)
	}
}

// conceal takes the values of a Secret out of what a result says.
func (m *manifest) conceal(r *result) *result {
	if !m.isSecret() {
		return r
	}
	quotable := append(m.quotable, m.object)
	m.quotable = nil
	if !r.quotes() {
		return r
	}
	values := map[string]bool{}
	for _, object := range quotable {
		valuesOf(object.Object, values)
	}
	for _, v := range []*verdict{r.applied, r.available, r.diffReported} {
		if v != nil {
			v.message = mask(v.message, values)
		}
	}
	if r.again != nil {
		r.again = &maskedError{r.again, mask(r.again.Error(), values)}
	}
	return r
}

// quotes reports whether a result may have words that are not this program's.
func (r *result) quotes() bool {
	return r.again != nil || r.applied != nil && !r.applied.ok || r.diffReported != nil && !r.diffReported.ok
}

// maskedError is an error about a Secret without the Secret's values.
type maskedError struct {
	err     error
	message string
}

func (e *maskedError) Error() string { return e.message }
func (e *maskedError) Unwrap() error { return e.err }

// valuesOf collects the values of a Secret as they may be quoted: plain, encoded, and escaped. An annotation may have the Secret as it was
// applied once.
func valuesOf(secret map[string]any, values map[string]bool) {
	data, _ := secret["data"].(map[string]any)
	for _, value := range data {
		text, isText := value.(string)
		if plain, err := base64.StdEncoding.DecodeString(text); isText && err == nil {
			addPlain(string(plain), values)
		}
		addText(fmt.Sprint(value), values)
	}
	stringData, _ := secret["stringData"].(map[string]any)
	for _, value := range stringData {
		addPlain(fmt.Sprint(value), values)
	}
	annotations, _, _ := unstructured.NestedMap(secret, "metadata", "annotations")
	for _, value := range annotations {
		var applied map[string]any
		if text, isText := value.(string); isText && json.Unmarshal([]byte(text), &applied) == nil {
			valuesOf(applied, values)
		}
	}
}

// addPlain adds a value that is quoted as it is, as base64 or as the numbers of its bytes.
func addPlain(value string, values map[string]bool) {
	addText(value, values)
	addText(base64.StdEncoding.EncodeToString([]byte(value)), values)
	addText(strings.Trim(fmt.Sprint([]byte(value)), "[]"), values)
}

// addText adds a text, and as Go and JSON quote it.
func addText(text string, values map[string]bool) {
	quoted := strconv.Quote(text)
	// A string can be encoded.
	encoded, _ := json.Marshal(text)
	for _, form := range []string{text, strings.TrimSpace(text), quoted[1 : len(quoted)-1], string(encoded[1 : len(encoded)-1])} {
		if form != "" {
			values[form] = true
		}
	}
}

// mask takes values out of a text: a short one where it stands by itself, and whatever the text has in common with a longer one over so
// many bytes, since a value may be quoted in part.
func mask(text string, values map[string]bool) string {
	text = wording.Shorten(text, maxMasked)
	hidden := make([]bool, len(text))
	hide := func(from, length int) {
		for i := from; i < from+length; i++ {
			hidden[i] = true
		}
	}
	starts := map[string][]int{}
	for i := 0; i+window <= len(text); i++ {
		starts[text[i:i+window]] = append(starts[text[i:i+window]], i)
	}
	for value := range values {
		if len(value) < window {
			for at := 0; ; at++ {
				next := strings.Index(text[at:], value)
				if next < 0 {
					break
				}
				if at += next; standsAlone(text, at, len(value)) {
					hide(at, len(value))
				}
			}
		}
		for i := 0; i+window <= len(value); i++ {
			for _, at := range starts[value[i:i+window]] {
				hide(at, window)
			}
			delete(starts, value[i:i+window])
		}
	}
	var shown strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			shown.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			shown.WriteString(redacted)
		}
	}
	return strings.ToValidUTF8(shown.String(), "")
}

// standsAlone reports whether a part of a text is not part of a longer word.
func standsAlone(text string, at, length int) bool {
	inWord := func(c byte) bool { return c >= 0x80 || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) }
	return (at == 0 || !inWord(text[at-1])) && (at+length == len(text) || !inWord(text[at+length]))
}
