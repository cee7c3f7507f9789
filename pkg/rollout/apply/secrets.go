// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/secretvalue"
)

// Whoever reads a status need not be allowed to read Secrets. So no value of a Secret is in one: what differs is said by its path only, and
// from what a member says of a Secret (a webhook may quote what it refuses) the values are taken out.

// maxMasked is how much is looked at and kept of what a member says of a Secret, in bytes. It is more than any condition shows.
const maxMasked = 4 * maxMessage

// isSecret reports whether the object is one whose values are not shown.
func (m *manifest) isSecret() bool {
	return secretvalue.IsSecret(m.object.GroupVersionKind().GroupKind())
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
	values := secretvalue.Set{}
	for _, object := range quotable {
		values.Add(object.Object)
	}
	for _, v := range []*verdict{r.applied, r.available, r.diffReported} {
		if v != nil {
			v.message = mask(values, v.message)
		}
	}
	if r.again != nil {
		r.again = &maskedError{r.again, mask(values, r.again.Error())}
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

func mask(values secretvalue.Set, text string) string {
	return values.Mask(wording.Shorten(text, maxMasked))
}
