// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package loss

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const (
	// MaxPacked is how many bytes a note may have. All annotations of a Work share 256 KiB.
	MaxPacked = 128 << 10
	// MaxUnpacked bounds what a note is unpacked to.
	MaxUnpacked = 1 << 20
	// MaxObjects is how many objects a note may list. Each is looked up on the member. What is in the manifests of the Work is looked up all the
	// same, so that a note without it does for a Work that has more.
	MaxObjects = 1000
)

// ErrTooLarge is that a note lists more than a Work may note.
var ErrTooLarge = errors.New("it is too large")

// Note is what a Work notes of its AppliedWork.
type Note struct {
	// Jobs are the Jobs of which the AppliedWork recorded that they completed, as its annotations name them, and the hashes of their manifests.
	Jobs map[string]string `json:"jobs,omitempty"`
	// Objects are what the AppliedWork listed.
	Objects []v1beta1.WorkResourceIdentifier `json:"objects,omitempty"`
}

// Pack returns a note as a Work has it, or ErrTooLarge.
func (n *Note) Pack() (string, error) {
	data, err := json.Marshal(n)
	switch {
	case err != nil:
		return "", err
	case len(n.Objects) > MaxObjects || len(data) > MaxUnpacked:
		return "", ErrTooLarge
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err = w.Write(data); err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", err
	}
	text := base64.StdEncoding.EncodeToString(packed.Bytes())
	if len(text) > MaxPacked {
		return "", ErrTooLarge
	}
	return text, nil
}

// Read returns what a Work notes, nil for a Work that notes nothing. It fails for what Pack does not make, and for a note of objects that are not
// the Work's to place.
func Read(work *v1beta1.Work) (*Note, error) {
	text := work.Annotations[wellknown.LostAppliedWorkAnnotation]
	if text == "" {
		return nil, nil
	}
	n, err := unpack(text)
	if err == nil && len(n.Objects) > MaxObjects {
		err = fmt.Errorf("it lists %d objects, more than %d", len(n.Objects), MaxObjects)
	}
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", wellknown.LostAppliedWorkAnnotation, err)
	}
	for i := range n.Objects {
		if !IsPlaceable(work, n.Objects[i]) {
			return nil, fmt.Errorf("annotation %s: it lists %s %s/%s, which is not in the namespace of the placement",
				wellknown.LostAppliedWorkAnnotation, n.Objects[i].Kind, n.Objects[i].Namespace, n.Objects[i].Name)
		}
	}
	return n, nil
}

func unpack(text string) (*Note, error) {
	if len(text) > MaxPacked {
		return nil, ErrTooLarge
	}
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxUnpacked+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > MaxUnpacked:
		return nil, ErrTooLarge
	}
	n := &Note{}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(n); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("it has more than one value")
	}
	return n, nil
}

// IsPlaceable reports whether an object can be one that the placement of a Work has placed: that of a namespace places nothing elsewhere.
func IsPlaceable(work *v1beta1.Work, object v1beta1.WorkResourceIdentifier) bool {
	namespace := work.Labels[wellknown.ParentNamespaceLabel]
	return namespace == "" || object.Namespace == namespace
}
