// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"slices"

	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// incomplete is a selection of which something cannot be seen. What is missing must not be taken for deleted.
type incomplete struct {
	missing []string
	// again says that no event will tell when it can be seen.
	again bool
}

// maxMissing is how many of the missing things a message names.
const maxMissing = 5

func (e *incomplete) Error() string {
	named := e.missing[:min(len(e.missing), maxMissing)]
	return "not everything that is selected can be seen: " + wording.Clauses(named, len(e.missing))
}

func (e *incomplete) addf(format string, args ...any) { e.add(fmt.Sprintf(format, args...)) }

func (e *incomplete) add(missing ...string) {
	for _, m := range missing {
		if !slices.Contains(e.missing, m) {
			e.missing = append(e.missing, m)
		}
	}
}

// merge takes over what another error says is missing, and returns any other error.
func (e *incomplete) merge(err error) error {
	var other *incomplete
	if !errors.As(err, &other) {
		return err
	}
	e.add(other.missing...)
	e.again = e.again || other.again
	return nil
}

// orNil is the error, or none where nothing is missing.
func (e *incomplete) orNil() error {
	if len(e.missing) == 0 {
		return nil
	}
	return e
}
