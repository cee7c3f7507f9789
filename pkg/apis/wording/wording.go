// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wording has what messages of the server and of the controllers have in common. It knows no kinds.
package wording

import (
	"fmt"
	"strings"
	"time"
)

// shown is how many names a message lists.
const shown = 10

// List joins some names, at most ten, and counts the others: "a, b and 3 more".
func List(names []string) string { return First(names, shown) }

// First joins the first names, at most limit, and counts the others: "a, b and 3 more".
func First(names []string, limit int) string {
	if len(names) <= limit {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:limit], ", "), len(names)-limit)
}

// Clauses joins what is too long for commas, and counts what of a total is not there: "a is ill; b has left; and 3 more".
func Clauses(clauses []string, total int) string {
	joined := strings.Join(clauses, "; ")
	if more := total - len(clauses); more > 0 {
		joined += fmt.Sprintf("; and %d more", more)
	}
	return joined
}

// FirstNames joins up to three names, and ends in dots where there are more.
func FirstNames(names []string) string {
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + dots
	}
	return strings.Join(names, ", ")
}

// Count returns "1 cluster", "2 clusters".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Key returns <namespace>/<name>, and the name alone of what has no namespace.
func Key(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// Placement names a placement with its kind.
func Placement(namespace, name string) string {
	if namespace == "" {
		return "ClusterResourcePlacement " + name
	}
	return "ResourcePlacement " + Key(namespace, name)
}

// Duration is a duration as people write it in YAML: "72h", "1h30m".
func Duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
