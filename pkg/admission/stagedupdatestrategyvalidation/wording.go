// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package stagedupdatestrategyvalidation

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apiserver/pkg/warning"
)

// listed is how many names a warning has at most.
const listed = 10

func warn(ctx context.Context, format string, args ...any) {
	warning.AddWarning(ctx, "", fmt.Sprintf(format, args...))
}

// list names the first of many.
func list(names []string) string {
	if len(names) <= listed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:listed], ", "), len(names)-listed)
}

// membersAre begins a sentence about member clusters.
func membersAre(names []string) string {
	if len(names) == 1 {
		return fmt.Sprintf("member cluster %s is", names[0])
	}
	return fmt.Sprintf("member clusters %s are", list(names))
}

func them(names []string) string {
	if len(names) == 1 {
		return "it"
	}
	return "them"
}
