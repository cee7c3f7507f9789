// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wording has what messages of the server and of the controllers have in common. It knows no kinds.
package wording

import (
	"fmt"
	"strings"
)

// shown is how many names a message lists.
const shown = 10

// List joins some names, at most ten, and counts the others: "a, b and 3 more".
func List(names []string) string {
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
