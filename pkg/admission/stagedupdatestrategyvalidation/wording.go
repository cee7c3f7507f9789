// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package stagedupdatestrategyvalidation

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/warning"

	"github.com/stagegate/stagegate/pkg/apis/wording"
)

func warn(ctx context.Context, format string, args ...any) {
	warning.AddWarning(ctx, "", fmt.Sprintf(format, args...))
}

// membersAre begins a sentence about member clusters.
func membersAre(names []string) string {
	if len(names) == 1 {
		return fmt.Sprintf("member cluster %s is", names[0])
	}
	return fmt.Sprintf("member clusters %s are", wording.List(names))
}

func them(names []string) string {
	if len(names) == 1 {
		return "it"
	}
	return "them"
}
