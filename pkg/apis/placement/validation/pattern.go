// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	// stageName has no dash, so that <run>-before-<stage> names one stage of one run.
	stageName = regexp.MustCompile(`^[a-z0-9]+$`)
	// percentage is a share of clusters that may be none of them.
	percentage = regexp.MustCompile(`^(100|[0-9]{1,2})%$`)
	// positivePercentage is a share of clusters that moves something.
	positivePercentage = regexp.MustCompile(`^(100|[1-9][0-9]?)%$`)
	// snapshotIndex is written as the server writes it, since snapshots are looked up by the text.
	snapshotIndex = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
)

// notMatching says it in the words of a schema's pattern, which clients of the API know, and then for people what matches.
func notMatching(path *field.Path, value string, pattern *regexp.Regexp, matches string) *field.Error {
	return field.Invalid(path, value, fmt.Sprintf("%s in body should match '%s': %s", path, pattern, matches))
}
