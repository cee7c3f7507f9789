// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package secretvalue

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Redacted stands for what is not shown.
const Redacted = "(redacted for security reasons)"

// window is how many bytes in a row of a value are not shown, wherever they are.
const window = 8

// IsSecret reports whether objects of a kind are Secrets.
func IsSecret(kind schema.GroupKind) bool { return kind == schema.GroupKind{Kind: "Secret"} }

// Set is what is not shown of Secrets, in each form in which it may be quoted.
type Set map[string]bool

// Add adds the values of a Secret as they may be quoted: plain, encoded, and escaped. An annotation may have the Secret as it was applied once.
func (s Set) Add(secret map[string]any) {
	data, _ := secret["data"].(map[string]any)
	for _, value := range data {
		text, isText := value.(string)
		if plain, err := base64.StdEncoding.DecodeString(text); isText && err == nil {
			s.addPlain(string(plain))
		}
		s.addText(fmt.Sprint(value))
	}
	stringData, _ := secret["stringData"].(map[string]any)
	for _, value := range stringData {
		s.addPlain(fmt.Sprint(value))
	}
	annotations, _, _ := unstructured.NestedMap(secret, "metadata", "annotations")
	for _, value := range annotations {
		var applied map[string]any
		if text, isText := value.(string); isText && json.Unmarshal([]byte(text), &applied) == nil {
			s.Add(applied)
		}
	}
}

// addPlain adds a value that is quoted as it is, as base64 or as the numbers of its bytes.
func (s Set) addPlain(value string) {
	s.addText(value)
	s.addText(base64.StdEncoding.EncodeToString([]byte(value)))
	s.addText(strings.Trim(fmt.Sprint([]byte(value)), "[]"))
}

// addText adds a text, and as Go and JSON quote it.
func (s Set) addText(text string) {
	quoted := strconv.Quote(text)
	// A string can be encoded.
	encoded, _ := json.Marshal(text)
	for _, form := range []string{text, strings.TrimSpace(text), quoted[1 : len(quoted)-1], string(encoded[1 : len(encoded)-1])} {
		if form != "" {
			s[form] = true
		}
	}
}

// Mask takes the values out of a text: a short one where it stands by itself, and whatever the text has in common with a longer one over so
// many bytes, since a value may be quoted in part.
func (s Set) Mask(text string) string {
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
	for value := range s {
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
			shown.WriteString(Redacted)
		}
	}
	return strings.ToValidUTF8(shown.String(), "")
}

// standsAlone reports whether a part of a text is not part of a longer word.
func standsAlone(text string, at, length int) bool {
	inWord := func(c byte) bool { return c >= 0x80 || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) }
	return (at == 0 || !inWord(text[at-1])) && (at+length == len(text) || !inWord(text[at+length]))
}
